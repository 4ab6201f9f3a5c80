"""What AWS's own client makes of the emulator: frames, errors in the stream, keys.

Usage: bedrock_client.py http://127.0.0.1:PORT SOURCE. There are the regions us-east-1 (in order), eu-west-1 (an exception in
every stream) and ap-south-1 (throttles); its keys are AKIDEXAMPLE and SECRET.
"""
import json
import sys

import boto3
import botocore.config
import botocore.eventstream
import botocore.exceptions

base, source = sys.argv[1:]


def client(region, secret="SECRET", token=None):
    return boto3.client(
        "bedrock-runtime", region_name=region, endpoint_url=f"{base}/{source}/{region}",
        aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key=secret, aws_session_token=token,
        config=botocore.config.Config(retries={"total_max_attempts": 1}))


def converse(of, model="anthropic.claude-v1:0", tokens=5):
    return of.converse_stream(
        modelId=model, messages=[{"role": "user", "content": [{"text": "Hi"}]}], inferenceConfig={"maxTokens": tokens})


def expect(condition, what):
    if not condition:
        sys.exit(f"not as expected: {what}")


def error_code(call):
    try:
        call()
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return None


# ConverseStream.
events = list(converse(client("us-east-1"))["stream"])
names = [next(iter(event)) for event in events]
expect(names[0] == "messageStart" and names[-2:] == ["messageStop", "metadata"], names)
texts = [event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event]
expect(len(texts) == 5 and "".join(texts) == " the sky is blue since", texts)
expect(events[-1]["metadata"]["usage"]["outputTokens"] == 5, events[-1])
# With keys that last for some time only, which are signed too.
expect(len(list(converse(client("us-east-1", token="TOKEN"))["stream"])) > 5, "temporary keys")

# InvokeModelWithResponseStream.
answer = client("us-east-1").invoke_model_with_response_stream(
    modelId="anthropic.claude-v1:0",
    body=json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 4,
                     "messages": [{"role": "user", "content": "Hi"}]}))
pieces = [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]
texts = [piece["delta"]["text"] for piece in pieces if piece["type"] == "content_block_delta"]
expect(len(texts) == 4, pieces)
expect(pieces[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"] == 4, pieces[-1])

# An exception within the stream.
seen = 0
try:
    for _ in converse(client("eu-west-1"))["stream"]:
        seen += 1
    sys.exit("no exception came")
except botocore.exceptions.EventStreamError as error:
    expect("modelStreamErrorException" in str(error), error)
expect(seen > 0, "events before the exception")

# Errors instead of a stream.
expect(error_code(lambda: converse(client("ap-south-1"))) == ("ThrottlingException", 429), "throttling")
expect(error_code(lambda: converse(client("us-east-1", secret="WRONG"))) == ("InvalidSignatureException", 403), "wrong keys")
expect(error_code(lambda: converse(client("us-east-1"), tokens=100_000)) == ("ValidationException", 400), "too many tokens")
print("ok")
