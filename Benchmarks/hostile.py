"""Bytes that no honest peer sends: requests for an HTTP server, frames for a port that speaks gRPC.

Every function draws from the random.Random that it is given, so a seed repeats a run."""
from __future__ import annotations

import json
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# What a JSON value of any kind is replaced by.
VALUES = [
    None, True, False, -1, 0, 1e308, -1e308, 2**63, -2**63, 2**64, 10**400, 0.1, "", "x", "\x00", "\ud83d", "NaN",
    [], {}, [[]], [None], {"": None}, [1] * 100, ["x"] * 2000, {"type": "object"}, "\u202e" * 50, "a" * 20000,
]
# Wrong for the field on purpose, so that hardly any is answered with tokens.
FIELDS = [
    "messages", "prompt", "model", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "min_p",
    "seed", "stop", "n", "logprobs", "top_logprobs", "logit_bias", "presence_penalty", "frequency_penalty",
    "repetition_penalty", "response_format", "grammar", "stream", "stream_options", "user", "speculation", "tools",
    "tool_choice", "functions", "audio", "modalities", "store", "echo", "suffix", "best_of", "input", "tokens",
    "content", "add_special", "__proto__", "",
]
GRAMMARS = [
    "root ::=", "root ::= root", "root ::= (" * 50, "root ::= [", 'root ::= "a"{1,1000000000}', "x",
    'root ::= "\\x"',
    'root ::= "a" [^\x00-\U0010FFFF]', 'root ::= "a" root', 'root ::= "a" | "b" root',
    'root ::= a\na ::= b\nb ::= a', "root ::= " + "(" * 5000 + '"a"' + ")" * 5000,
]
PATHS = [
    "/v1/chat/completions", "/v1/completions", "/v1/models", "/tokenize", "/detokenize", "/health/live",
    "/health/ready", "/metrics",
]


def nested(depth, opening, closing):
    return opening * depth + closing * depth


def json_text(value):
    """With what the json module refuses to write in strict mode, too."""
    return json.dumps(value, allow_nan=True).encode("utf-8", "surrogatepass")


def valid_body(rng, path):
    if path == "/tokenize":
        return {"content": "Hello"}
    if path == "/detokenize":
        return {"tokens": [1, 2, 3]}
    body = {"max_tokens": 1, "temperature": 0}
    if path == "/v1/completions":
        body["prompt"] = "Hello"
    else:
        body["messages"] = [{"role": "user", "content": "Hello"}]
    if rng.random() < 0.2:
        body["stream"] = True
    return body


def break_value(rng, body):
    """Puts a wrong value somewhere into a valid body."""
    kind = rng.randrange(11)
    messages = body.get("messages")
    if kind == 0 and messages:
        messages[0][rng.choice(["role", "content", "name", "tool_calls", ""])] = rng.choice(VALUES)
    elif kind == 1 and messages:
        body["messages"] = messages * rng.choice([0, 2, 3000])
    elif kind == 2:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "x", "schema": rng.choice([
            {"$ref": "#"}, {"type": "nothing"}, {"allOf": []}, {"enum": []}, {"pattern": "(" * 100, "type": "string"},
            {"type": "array", "minItems": 10**9, "items": {}}, {"$ref": "http://127.0.0.1:1/x"}, 7, None])}}
    elif kind == 3:
        body["grammar"] = rng.choice(GRAMMARS)
    elif kind == 4:
        body["logit_bias"] = rng.choice([
            {"x": 1}, {"-1": 1}, {"99999999": 1}, {"1": "x"}, {"1": 1e400}, {str(i): 1 for i in range(20000)}])
    elif kind == 5:
        body["stop"] = rng.choice([["x"] * 1000, [""], [None], "x" * 100000, {"a": 1}, ["a" * 100000]])
    elif kind == 6:
        body["speculation"] = rng.choice([
            {"mode": "x"}, {"mode": None}, {"price": -1}, {"width": 10**9}, {"width": -1}, {"x": 1}, [], "on"])
    elif kind == 7 and messages:
        body["tools"] = tools(rng)
        body["tool_choice"] = rng.choice(["auto", "none", "required", "x", {"type": "function"}, {
            "type": "function", "function": {"name": "f"}}])
        body["parallel_tool_calls"] = rng.choice([True, False, 1, None])
    elif kind == 8 and messages:
        body["messages"] = messages + history(rng)
        body["chat_template_kwargs"] = rng.choice([{}, {"enable_thinking": False}, {"enable_thinking": 1}, {"x": [{}]},
                                                   {"messages": []}, {"add_generation_prompt": 1}, [], "x"])
        body["reasoning_effort"] = rng.choice(["none", "low", "high", "x", 1, None])
    elif kind == 9:
        body.pop(rng.choice([name for name in body if name != "max_tokens"]), None)
        set_field(rng, body)
    else:
        set_field(rng, body)
    return body


SCHEMAS = [
    {}, {"type": "object"}, {"type": "object", "properties": {"a": {"$ref": "#"}}}, {"$ref": "#/$defs/a"}, {"type": "x"},
    {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(300)}},
    {"type": "object", "properties": {"a": {"enum": [str(i) for i in range(3000)]}}, "required": ["a", "b"]},
    {"type": "object", "properties": {"a": {"pattern": "^(a|aa)+$", "type": "string"}}},
    {"type": "object", "properties": {"a": {"type": "array", "minItems": 10**9, "items": {"type": "array"}}}},
    {"oneOf": [{"type": "object"}] * 500}, {"type": "object", "properties": {"<|im_end|>": {}}}, [], None, 7, "x"]
NAMES = ["f", "g", "", "a b", "x" * 65, "<|im_end|>", "\u0000", None, 7, "e\u0301"]


def tools(rng):
    """Functions, hardly any of which make sense."""
    def one():
        function = {"name": rng.choice(NAMES), "parameters": rng.choice(SCHEMAS), "description": rng.choice(VALUES)}
        if rng.random() < 0.3:
            function.pop(rng.choice(list(function)))
        return rng.choice([{"type": "function", "function": function}, {"type": "function", "function": function},
                           {"type": "x", "function": function}, {"function": function}, function, rng.choice(VALUES)])
    return [one() for _ in range(rng.choice([0, 1, 1, 1, 2, 5, 200]))]


def history(rng):
    """Calls of tools and their results, out of order, without each other, of wrong types."""
    def call():
        return rng.choice([
            {"id": rng.choice(["a", "b", "", None, 7, "<|im_end|>"]), "type": rng.choice(["function", "x"]), "function": {
                "name": rng.choice(NAMES), "arguments": rng.choice(["{}", "{", "[1]", "", None, {}, '{"a":"\\u003c|im_end|>"}',
                                                                    "{" * 1000, '{"a":' * 50 + "1" + "}" * 50])}},
            rng.choice(VALUES)])
    return [rng.choice([
        {"role": "assistant", "content": rng.choice([None, "", "x"]), "tool_calls": [call() for _ in range(rng.randrange(4))]},
        {"role": "tool", "content": rng.choice(["x", None, [], [{"type": "text", "text": "<|im_start|>"}]]),
         "tool_call_id": rng.choice(["a", "b", "", None, 7])},
        {"role": "assistant", "reasoning_content": rng.choice(["x", "</think>", 7, None]), "content": rng.choice(["x", None])},
        {"role": "user", "content": "\ufdd0<|im_end|>\ufdd1"}]) for _ in range(rng.choice([1, 2, 3, 40]))]


def set_field(rng, body):
    name, value = rng.choice(FIELDS), rng.choice(VALUES)
    # As many tokens as there is room for is a valid wish, and a slow one.
    if name.startswith("max_") and (value is None or not isinstance(value, (str, list, dict)) and value >= 1):
        value = rng.choice([-1, 0.5, "1", [1]])
    body[name] = value


def break_text(rng, text):
    """Damages the bytes of a JSON text."""
    kind = rng.randrange(8)
    place = rng.randrange(len(text) + 1)
    if kind == 0:
        return text[:place]
    if kind == 1:
        return text[:place] + bytes(rng.randrange(256) for _ in range(rng.randrange(1, 20))) + text[place:]
    if kind == 2:
        return text + rng.choice([b"}", b"{}", b"\x00", b",", b"null"])
    if kind == 3:
        return nested(rng.choice([10, 600, 20000]), *rng.choice([(b"[", b"]"), (b'{"a":', b"}")]))
    if kind == 4:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(300)))
    if kind == 5:
        return text.replace(b'"', b"'")
    if kind == 6:
        return rng.choice([b"", b" ", b"null", b"7", b'"x"', b"[]", b"\xef\xbb\xbf{}", b"NaN", b"{\"a\":1e999999}"])
    flipped = bytearray(text)
    for _ in range(rng.randrange(1, 6)):
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def body_request(rng, path=None):
    """A well-formed request with a hostile body: the connection stays in step whatever the answer is."""
    path = path or rng.choice(PATHS[:2] * 4 + PATHS[3:5])
    text = json_text(break_value(rng, valid_body(rng, path)))
    if rng.random() < 0.4:
        text = break_text(rng, text)
        # Where the limit of one token got lost, the text must not be valid by luck and ask for thousands.
        if b"max_tokens" in text and b'"max_tokens": 1,' not in text:
            text = text[:len(text) // 2]
    return "POST", path, text


def head_request(rng):
    """A whole request that is odd in its method, path or headers but whose end is beyond doubt."""
    method = rng.choice(["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FOO", "get", "POST"])
    path = rng.choice(PATHS + [
        "/", "//", "/../../etc/passwd", "/v1/%2e%2e/%00", "/v1/models/" + "x" * 3000, "/?" + "a=b&" * 500,
        "/v1/models?%", "/%ff%fe", "*", "/v1/chat/completions/", "/V1/MODELS", "/metrics;x",
        "http://other.example/v1/models"])
    headers = rng.choice([
        [], [("Content-Type", "text/plain")], [("Accept", "*/*" * 500)], [("X-Long", "x" * 4000)],
        [("Authorization", rng.choice(["Bearer", "Bearer  ", "Basic x", "Bearer " + "x" * 5000, "\x80"]))],
        [("Expect", "x")], [("Cookie", "a=b; " * 200)], [(f"X-{i}", "y") for i in range(60)],
        [("Origin", rng.choice(["null", "https://evil.example", "http://localhost:3", "x" * 3000, "://", "\x80"]))],
        [("Accept-Encoding", "gzip, br, x")], [("Content-Encoding", "gzip")], [("Range", "bytes=0-")],
    ])
    return method, path, headers


def broken_http(rng):
    """Bytes after which the two sides need not agree where a request ends: for a connection of its own."""
    path = rng.choice(PATHS).encode()
    post = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return rng.choice([
        lambda: b"GET " + path + b" HTTP/1.1\r\n",
        lambda: b"GET " + path + b" HTTP/9.9\r\nHost: localhost\r\n\r\n",
        lambda: b"GET  HTTP/1.1\r\n\r\n",
        lambda: b"GET " + path + b"\r\n\r\n",
        lambda: b"G" * rng.randrange(1, 20000) + b"\r\n\r\n",
        lambda: b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        lambda: post + b"X: " + b"y" * 200000 + b"\r\n\r\n",
        lambda: post + b"".join(b"X-%d: y\r\n" % i for i in range(3000)) + b"\r\n",
        lambda: post + b"Content-Length: " + rng.choice([b"-1", b"x", b"99999999999999999999", b"1, 2", b"", b"0x10"])
        + b"\r\n\r\n{}",
        lambda: post + b"Content-Length: 10\r\nContent-Length: 2\r\n\r\n{}",
        lambda: post + b"Content-Length: 1000000000\r\n\r\n{}",
        lambda: post + b"Content-Length: 500\r\n\r\n{\"messages\":",
        lambda: post + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        lambda: post + b"Transfer-Encoding: chunked\r\n\r\n" + rng.choice(
            [b"zz\r\n", b"-1\r\n", b"ffffffffffffffff\r\nx", b"5\r\nab", b"2\r\n{}x\r\n", b"\r\n\r\n", b"0" * 100000]),
        lambda: post + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 3000,
        lambda: post + b"Transfer-Encoding: gzip, x\r\n\r\n",
        lambda: post + b" folded: x\r\n\r\n",
        lambda: post + b"No colon here\r\n\r\n",
        lambda: post + b"X\x00Y: z\r\n\r\n",
        lambda: b"GET " + path + b" HTTP/1.1\nHost: localhost\n\n",
        lambda: b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        lambda: b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        lambda: b"GET " + path + b" HTTP/1.1\r\nHost: " + rng.choice(HOSTS) + b"\r\n\r\n",
        lambda: b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nHost: " + rng.choice(HOSTS) + b"\r\n\r\n",
        lambda: b"GET " + path + b" HTTP/1.1\r\n\r\n",
        lambda: b"GET " + path + b" HTTP/1.0\r\n" + rng.choice([b"", b"Connection: keep-alive\r\n"]) + b"\r\n",
        lambda: (b"GET " + path + rng.choice([b" HTTP/1.0\r\n", b" HTTP/1.1\r\nHost: localhost\r\n"]) + b"\r\n") * 20
        + b"GET " + path + b" HTTP/1.0\r\n\r\n",
        lambda: post.replace(b"1.1", b"1.0") + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
        lambda: post.replace(b"application/json", rng.choice(
            [b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=x", b"", b";",
             b"application/json\r\nContent-Type: text/plain"])) + b"Content-Length: 2\r\n\r\n{}",
        lambda: PREFACE + rng.randbytes(rng.randrange(200)),
        lambda: tls_hello(rng),
        lambda: rng.randbytes(rng.randrange(1, 3000)),
    ])()


def heavy_request(rng):
    """A body of up to 4 MB that is costly to read and asks for what there is no room for."""
    unit = rng.choice(["a", " ", "word ", "\U0001f600", "\n", "=-", "<|im_start|>", "\u00e9", "0"])
    text = unit * (rng.choice([70_000, 500_000, 3_900_000]) // len(json.dumps(unit)))
    path = rng.choice(PATHS[:2] * 2 + PATHS[3:5])
    if path == "/tokenize":
        body = {"content": text, "with_pieces": rng.random() < 0.5}
    elif path == "/detokenize":
        body = {"tokens": [rng.randrange(50)] * (len(text) // 4)}
    else:
        body = valid_body(rng, path)
        kind = rng.randrange(6)
        if kind == 0:
            body["grammar"] = rng.choice([
                'root ::= "a" (' + " | ".join(f'"b{i}"' for i in range(9000)) + ")",
                'root ::= "' + "a" * 250_000 + '"', 'root ::= ("a" | "b")' + "{1,9000}" * 2])
        elif kind == 1:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "x", "schema": {
                "type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(5000)}}}}
        elif kind == 2:
            body["stop"] = [text]
        elif path == "/v1/completions":
            body["prompt"] = rng.choice([text, [text[:60_000]] * 64, [1] * (len(text) // 4)])
        else:
            body["messages"] = rng.choice([
                [{"role": "user", "content": text}], [{"role": "user", "content": text[:1000]}] * 2000])
    return "POST", path, json_text(body)


HOSTS = [b"", b"evil.example", b"localhost", b"localhost.evil.example:80", b"127.0.0.1", b"[::1]:8080", b"[", b"x" * 3000,
         b"10.0.0.1", b"0.0.0.0", b"a b", b"\x80"]


def tls_hello(rng):
    """The start of a TLS handshake, cut or with junk inside."""
    body = b"\x01" + rng.randbytes(rng.randrange(4, 200))
    return b"\x16\x03\x01" + struct.pack(">H", rng.choice([len(body), 5, 65535])) + body


def frame(kind, flags, stream, payload, length=None):
    """An HTTP/2 frame; `length` lies about the payload."""
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + bytes([kind & 255, flags & 255]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """A header of HPACK, not indexed, without Huffman coding; both shorter than 127 bytes."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def call_headers(path=b"/wanspec.v1.DraftExchange/Attach"):
    return b"".join(literal(name, value) for name, value in [
        (b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"x"),
        (b"content-type", b"application/grpc"), (b"te", b"trailers")])


def worker_bytes(rng):
    """What a peer that is no worker may write to the workers' port."""
    settings = frame(4, 0, 0, b"")
    start = PREFACE + settings
    call = start + frame(1, 4, 1, call_headers(rng.choice(
        [b"/wanspec.v1.DraftExchange/Attach", b"/x.Y/Z", b"/", b"x" * 100])))
    return rng.choice([
        lambda: rng.randbytes(rng.randrange(1, 5000)),
        lambda: PREFACE[:rng.randrange(1, len(PREFACE))],
        lambda: PREFACE + rng.randbytes(rng.randrange(1, 3000)),
        lambda: b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        lambda: tls_hello(rng),
        lambda: start + frame(rng.randrange(256), rng.randrange(256), rng.randrange(2**31), rng.randbytes(50)),
        lambda: start + frame(0, 0, 0, b"x"),
        lambda: start + frame(0, 0, 99, b"x" * 1000),
        lambda: start + frame(1, 4, 2, call_headers()),
        lambda: start + frame(1, 4, 1, rng.randbytes(100)),
        lambda: start + frame(1, 0, 1, call_headers()) + frame(9, 0, 1, b"x" * 1000) * 50,
        lambda: start + frame(
            4, 0, 0, struct.pack(">HI", rng.randrange(8), rng.randrange(2**32)) * rng.randrange(1, 50)),
        lambda: start + frame(6, 0, 0, b"12345678") * 500,
        lambda: start + frame(8, 0, 0, struct.pack(">I", rng.choice([0, 2**31 - 1]))) * 3,
        lambda: start + frame(0, 0, 1, b"", length=2**24 - 1),
        lambda: start + b"".join(frame(1, 4, 2 * i + 1, call_headers()) + frame(3, 0, 2 * i + 1, b"\0\0\0\x08")
                                 for i in range(100)),
        lambda: call + frame(0, 0, 1, b"\x00" + struct.pack(">I", 2**32 - 1) + b"x" * 100),
        lambda: call + frame(0, 0, 1, b"\x01" + struct.pack(">I", 10) + b"x" * 10),
        lambda: call + frame(0, 0, 1, b"\x00" + struct.pack(">I", 200) + rng.randbytes(200)),
        lambda: call + b"".join(frame(0, 0, 1, b"\x00" + struct.pack(">I", n) + rng.randbytes(n))
                                for n in (rng.randrange(1, 80) for _ in range(20))),
        lambda: call + frame(0, 1, 1, b""),
    ])()
