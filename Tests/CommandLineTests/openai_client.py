#!/usr/bin/env python3
"""Uses a running `wanspec serve` through the public openai client and checks every field that it takes.

Usage: openai_client.py BASE_URL, for example http://127.0.0.1:8080/v1. The server's model must compute exactly
(32-bit floats): the same request with speculation on and off must have the same answer, also one token at a time.
The API key is OPENAI_API_KEY's. Prints a line for each check and exits with 1 where one fails.
"""
from __future__ import annotations

import json
import os
import sys
import traceback

import openai

STORY = [{"role": "user", "content": "Write a short story about a lighthouse keeper."}]
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


class Server:
    def __init__(self, url):
        # No retries: an answer that only comes on the second try has to show.
        self.client = openai.OpenAI(base_url=url, api_key=os.environ.get("OPENAI_API_KEY", "none"), max_retries=0,
                                    timeout=120)
        self.model = self.client.models.list().data[0].id

    def chat(self, mode="auto", **fields):
        fields.setdefault("messages", STORY)
        fields.setdefault("max_tokens", 24)
        return self.client.chat.completions.create(model=self.model, **with_mode(mode, fields))

    def complete(self, mode="auto", **fields):
        fields.setdefault("prompt", "The three longest rivers are")
        fields.setdefault("max_tokens", 16)
        return self.client.completions.create(model=self.model, **with_mode(mode, fields))

    def same(self, call=None, choices=1, **fields):
        """One request four ways: speculation on and off, whole and streamed. Returns the plain whole answer."""
        call = call or self.chat
        plain = call("off", **fields)
        want = [(seen_text(choice), choice.finish_reason) for choice in plain.choices]
        assert len(want) == choices, f"{len(want)} choices instead of {choices}"
        for mode in ["auto", "off"]:
            if mode == "auto":
                got = [(seen_text(choice), choice.finish_reason) for choice in call(mode, **fields).choices]
                assert got == want, f"with speculation {got} instead of {want}"
            streamed = Streamed(call(mode, stream=True, **fields))
            got = [(streamed.texts.get(i, ""), streamed.reasons.get(i)) for i in range(choices)]
            assert got == want, f"streamed, speculation {mode}: {got} instead of {want}"
        return plain


def with_mode(mode, fields):
    extra = {"speculation": {"mode": mode}, **fields.pop("extra_body", {})}
    return {**fields, "extra_body": extra}


def seen_text(choice):
    return choice.message.content if hasattr(choice, "message") else choice.text


class Streamed:
    """A stream put together again."""

    def __init__(self, stream):
        self.texts, self.reasons, self.usage, self.tokens, self.chunks = {}, {}, None, [], 0
        for chunk in stream:
            self.chunks += 1
            if chunk.usage:
                assert not chunk.choices, "usage comes in a chunk of its own"
                self.usage = chunk.usage
            for choice in chunk.choices:
                piece = choice.delta.content if hasattr(choice, "delta") else choice.text
                self.texts[choice.index] = self.texts.get(choice.index, "") + (piece or "")
                self.reasons[choice.index] = choice.finish_reason or self.reasons.get(choice.index)
                if choice.logprobs and getattr(choice.logprobs, "content", None):
                    self.tokens += choice.logprobs.content


def refused(status, call, *, names=None, **fields):
    try:
        call(**fields)
    except openai.APIStatusError as error:
        assert error.status_code == status, f"{error.status_code} instead of {status}: {error}"
        if names:
            assert error.param == names, f"param is {error.param!r}, not {names!r}: {error}"
        return error
    raise AssertionError(f"{fields} was accepted")


# --- Shapes -------------------------------------------------------------------------------------------------


@check
def models(server):
    listed = server.client.models.list().data
    assert listed and listed[0].object == "model"
    assert server.client.models.retrieve(server.model).id == server.model


@check
def a_whole_chat(server):
    answer = server.chat(temperature=0)
    choice = answer.choices[0]
    assert answer.object == "chat.completion" and choice.message.role == "assistant"
    assert choice.message.content and choice.finish_reason == "length"
    assert answer.usage.completion_tokens == 24
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 24
    assert answer.usage.prompt_tokens_details.cached_tokens >= 0
    timings, speculation = answer.model_extra["timings"], answer.model_extra["speculation"]
    assert timings["predicted_n"] == 24 and timings["predicted_per_token_ms"] > 0
    assert speculation["ttft_ms"] > 0 and speculation["tokens_per_step"] >= 1
    # The last step may have decided more than were asked for.
    origins = sum(speculation[f"from_{name}"] for name in ["worker", "local", "lookup", "target"])
    assert origins == 24, speculation


@check
def a_streamed_chat_with_usage(server):
    streamed = Streamed(server.chat(temperature=0, stream=True, stream_options={"include_usage": True}))
    assert streamed.chunks > 3 and streamed.usage.completion_tokens == 24
    assert Streamed(server.chat(temperature=0, stream=True)).usage is None


@check
def speculation_works(server):
    # Long enough for a worker to take part. Whether its guesses come in time is the machine's affair.
    answer = server.chat(temperature=0, max_tokens=96, messages=[
        {"role": "user", "content": "Write the numbers from one to one hundred, separated by commas."}])
    assert answer.model_extra["speculation"]["worker_expansions"] > 0, answer.model_extra["speculation"]
    plain = server.chat("off", temperature=0, max_tokens=96, messages=[
        {"role": "user", "content": "Write the numbers from one to one hundred, separated by commas."}])
    assert plain.model_extra["speculation"]["from_worker"] == 0
    assert seen_text(plain.choices[0]) == seen_text(answer.choices[0])


@check
def completions(server):
    server.same(server.complete, temperature=0)
    several = server.complete(prompt=["One, two,", "Red, green,"], temperature=0)
    assert [choice.index for choice in several.choices] == [0, 1]
    alone = server.complete(prompt="Red, green,", temperature=0)
    assert alone.choices[0].text == several.choices[1].text
    echoed = server.complete(prompt="Red, green,", temperature=0, echo=True)
    assert echoed.choices[0].text == "Red, green," + alone.choices[0].text


@check
def tokens_for_a_prompt(server):
    base = server.client.base_url.join("/")
    http = server.client._client
    tokens = http.post(base.join("/tokenize"), json={"content": "Red, green,"}).json()["tokens"]
    assert tokens and all(isinstance(token, int) for token in tokens)
    assert http.post(base.join("/detokenize"), json={"tokens": tokens}).json()["content"] == "Red, green,"
    text = server.complete(prompt=tokens, temperature=0).choices[0].text
    assert text == server.complete(prompt="Red, green,", temperature=0).choices[0].text


@check
def message_forms(server):
    parts = [{"role": "developer", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]},
             {"role": "user", "content": [{"type": "text", "text": "Hello"}], "name": "ada"},
             {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Bye"}]
    text = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Bye"}]
    assert seen_text(server.chat(messages=parts, temperature=0).choices[0]) == seen_text(
        server.chat(messages=text, temperature=0).choices[0])


# --- Fields -------------------------------------------------------------------------------------------------


@check
def greedy(server):
    server.same(temperature=0)


@check
def lengths(server):
    assert server.chat(max_tokens=5).usage.completion_tokens == 5
    fields = {"max_tokens": openai.omit, "max_completion_tokens": 7}
    assert server.chat(**fields).usage.completion_tokens == 7


@check
def seeds(server):
    texts = set()
    for seed in range(4):
        texts.add(seen_text(server.same(temperature=1.0, seed=seed).choices[0]))
    assert len(texts) > 1, "every seed gives the same text"
    drawn = server.chat(temperature=1.0)
    again = server.chat("off", temperature=1.0, seed=drawn.model_extra["speculation"]["seed"])
    assert seen_text(drawn.choices[0]) == seen_text(again.choices[0]), "the reported seed gives another text"


@check
def samplers(server):
    for seed, fields in enumerate([
            {"top_p": 0.8}, {"extra_body": {"top_k": 5}}, {"extra_body": {"min_p": 0.1}}, {"temperature": 0.3},
            {"temperature": 1.5}, {"top_p": 0.9, "extra_body": {"top_k": 40, "min_p": 0.02}}]):
        server.same(seed=seed, **fields)


@check
def penalties(server):
    words = [{"role": "user", "content": "Write the word yes again and again."}]
    plain = seen_text(server.same(temperature=0, messages=words).choices[0])
    changed = 0
    for fields in [{"presence_penalty": 1.5}, {"frequency_penalty": 1.2},
                   {"extra_body": {"repetition_penalty": 1.4}}, {"extra_body": {"repeat_penalty": 1.4}}]:
        changed += seen_text(server.same(temperature=0, messages=words, **fields).choices[0]) != plain
        server.same(seed=3, messages=words, **fields)
    assert changed > 0, "no penalty changes the text"


@check
def biases(server):
    first = server.chat(temperature=0, max_tokens=1, logprobs=True)
    piece = first.choices[0].logprobs.content[0].token
    base = server.client.base_url.join("/tokenize")
    token = server.client._client.post(base, json={"content": piece}).json()["tokens"][0]
    banned = server.same(temperature=0, logit_bias={str(token): -100})
    assert not seen_text(banned.choices[0]).startswith(piece)
    forced = server.same(temperature=0, max_tokens=4, logit_bias={str(token): 100})
    assert seen_text(forced.choices[0]) == piece * 4, seen_text(forced.choices[0])


@check
def several_choices(server):
    answer = server.same(choices=3, n=3, seed=11, temperature=0.9)
    assert len({seen_text(choice) for choice in answer.choices}) > 1


@check
def stop_strings(server):
    whole = seen_text(server.chat("off", temperature=0, max_tokens=48).choices[0])
    # Across the boundaries of tokens, and the earliest of several.
    for start in [5, 12, 21]:
        stop = whole[start:start + 4]
        answer = server.same(temperature=0, max_tokens=48, stop=stop)
        assert seen_text(answer.choices[0]) == whole[:whole.index(stop)]
        assert answer.choices[0].finish_reason == "stop"
    pair = [whole[30:33], whole[15:18]]
    answer = server.same(temperature=0, max_tokens=48, stop=pair)
    assert seen_text(answer.choices[0]) == whole[:min(whole.index(each) for each in pair)]


@check
def log_probabilities(server):
    fields = {"temperature": 0, "logprobs": True, "top_logprobs": 3}
    plain = server.chat("off", **fields)
    entries = plain.choices[0].logprobs.content
    assert len(entries) == plain.usage.completion_tokens
    assert b"".join(bytes(entry.bytes) for entry in entries).decode() == seen_text(plain.choices[0])
    for entry in entries:
        assert len(entry.top_logprobs) == 3 and entry.top_logprobs[0].token == entry.token
        assert entry.logprob <= 0 and entry.logprob == entry.top_logprobs[0].logprob
    for other in [server.chat("auto", **fields).choices[0].logprobs.content,
                  Streamed(server.chat("auto", stream=True, **fields)).tokens]:
        assert [entry.token for entry in other] == [entry.token for entry in entries]
        # Passes of another shape add up in another order.
        furthest = max(abs(a.logprob - b.logprob) for a, b in zip(entries, other))
        assert furthest < 0.02, f"log-probabilities differ by {furthest}"
    old = server.complete(temperature=0, logprobs=2).choices[0].logprobs
    assert len(old.tokens) == 16 and all(len(top) <= 2 for top in old.top_logprobs)
    assert old.text_offset[0] == 0


@check
def a_json_schema(server):
    schema = {"type": "object", "additionalProperties": False, "required": ["name", "age"], "properties": {
        "name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "minimum": 0, "maximum": 120}}}
    people = [{"role": "user", "content": "Invent a person. Answer in JSON."}]
    for fields in [{"temperature": 0}, {"seed": 1}, {"seed": 2}]:
        answer = server.same(messages=people, max_tokens=64, response_format={
            "type": "json_schema", "json_schema": {"name": "person", "schema": schema, "strict": True}}, **fields)
        value = json.loads(seen_text(answer.choices[0]))
        assert sorted(value) == ["age", "name"] and 0 <= value["age"] <= 120 and len(value["name"]) <= 12
        assert answer.choices[0].finish_reason == "stop"


@check
def grammars(server):
    answer = server.same(temperature=0, extra_body={"grammar": 'root ::= ("yes" | "no") " " [0-9]{3}'})
    text = seen_text(answer.choices[0])
    assert text[:-4] in ("yes", "no") and text[-3:].isdigit(), text


@check
def end_ignored(server):
    answer = server.chat(temperature=0, max_tokens=60, messages=[{"role": "user", "content": "Say: ok"}],
                         extra_body={"ignore_eos": True})
    assert answer.usage.completion_tokens == 60 and answer.choices[0].finish_reason == "length"


@check
def settings_of_speculation(server):
    want = seen_text(server.chat("off", temperature=0).choices[0])
    for choice in [{"mode": "wan"}, {"mode": "auto", "width": 1}, {"width": 0}]:
        answer = server.chat(temperature=0, extra_body={"speculation": choice})
        assert seen_text(answer.choices[0]) == want, choice
    assert answer.model_extra["speculation"]["tokens_per_step"] == 1, "a width of 0 still verifies guesses"
    # Without --draft there is nothing to draft with locally, for no price.
    refused(400, server.chat, names="speculation", extra_body={"speculation": {"price": 3}})


@check
def users(server):
    server.chat(user="ada", max_tokens=2)


# --- Refusals -----------------------------------------------------------------------------------------------


@check
def wrong_requests(server):
    refused(400, server.chat, names="temperature", temperature=-1)
    refused(400, server.chat, names="n", n=0)
    refused(400, server.chat, names="top_logprobs", top_logprobs=3)
    refused(400, server.chat, names="stop", stop=["x"] * 1000)
    refused(400, server.chat, names="tools[0].function.name",
            tools=[{"type": "function", "function": {"name": "f g"}}])
    refused(400, server.chat, names="messages", messages=[])
    refused(400, server.chat, names="messages[0].content[0].type", messages=[
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/"}}]}])
    refused(400, server.chat, names="response_format", response_format={
        "type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nothing"}}})
    refused(400, server.chat, names="grammar", extra_body={"grammar": "root ::= missing"})
    refused(400, server.chat, names="messages", messages=[{"role": "user", "content": "word " * 5000}])
    try:
        server.client.chat.completions.create(model="another-model", messages=STORY)
        raise AssertionError("an unknown model was accepted")
    except openai.NotFoundError as error:
        assert error.param == "model"


@check
def fields_that_nobody_knows(server):
    raw = server.client.chat.completions.with_raw_response.create(
        model=server.model, messages=STORY, max_tokens=2, store=True, metadata={"a": "b"},
        extra_body={"temprature": 1})
    assert raw.headers["x-wanspec-ignored-fields"] == "temprature (did you mean temperature?)", raw.headers
    assert raw.parse().usage.completion_tokens == 2


@check
def a_client_that_leaves(server):
    stream = server.chat(temperature=0, max_tokens=200, stream=True)
    next(iter(stream))
    stream.close()
    assert server.chat(max_tokens=2).usage.completion_tokens == 2


def run(checks):
    """Runs checks against the server that the command line names; exits."""
    if len(sys.argv) != 2:
        sys.exit(__import__("__main__").__doc__)
    server = Server(sys.argv[1])
    failed = 0
    for each in checks:
        try:
            each(server)
            print(f"ok      {each.__name__}", flush=True)
        except Exception:  # the other checks are to run as well
            failed += 1
            print(f"FAILED  {each.__name__}\n{traceback.format_exc(limit=-3)}", flush=True)
    print(f"{len(checks) - failed} of {len(checks)} checks hold (openai {openai.__version__})")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    run(CHECKS)
