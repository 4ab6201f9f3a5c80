import Foundation
import Gateway
import Testing

/// Every endpoint and field over real sockets, with a real model.
@Suite(.serialized) struct EndpointTests {
  @Test func healthModelsAndMetrics() async throws {
    try await TestServer.run { server in
      let client = server.client
      for path in ["/health", "/health/live", "/health/ready"] {
        let reply = try await client.get(path)
        #expect(reply.status == 200 && reply.json.string("status") == "ok")
      }
      let list = try await client.get("/v1/models")
      #expect(list.json.string("data.0.id") == "test-model")
      #expect(list.json.string("data.1.id") == "alias/of-model")
      #expect(list.json.int("data.0.max_model_len") == TestModel.contextLength)
      for path in ["/v1/models/test-model", "/v1/models/alias/of-model", "/v1/models/alias%2Fof-model"] {
        #expect(try await client.get(path).status == 200)
      }
      let unknown = try await client.get("/v1/models/gpt-4")
      #expect(unknown.status == 404 && unknown.error.string("code") == "model_not_found")
      #expect(unknown.error.string("message")?.contains("test-model") == true)
      let metrics = try await client.get("/metrics")
      #expect(metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
      #expect(metrics.text.contains("vllm:num_requests_running{model_name=\"test-model\"} 0"))
      let head = try await client.send(client.request("HEAD", "/health"), isHead: true)
      #expect(head.status == 200)
    }
  }

  @Test func pathsAndMethodsThatDoNotExist() async throws {
    try await TestServer.run { server in
      let missing = try await server.client.get("/v1/nothing?x=1")
      #expect(missing.status == 404 && missing.error.string("type") == "invalid_request_error")
      #expect(missing.error.string("message")?.contains("/v1/chat/completions") == true)
      let method = try await server.client.get("/v1/chat/completions")
      #expect(method.status == 405 && method.headers["allow"] == "POST")
      #expect(method.error.string("code") == "method_not_allowed")
      let unprefixed = try await server.client.post("/chat/completions", "{}")
      #expect(unprefixed.status == 404)
    }
  }

  @Test func templatesAreApplied() async throws {
    try await TestServer.run { server in
      let body = #"{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}]}"#
      let prompt = try await server.client.post("/apply-template", body)
      #expect(prompt.status == 200)
      #expect(prompt.json.string("prompt")?.contains("<|im_start|>system\nBe brief.<|im_end|>") == true)
      #expect(prompt.json.string("prompt")?.hasSuffix("<|im_start|>assistant\n") == true)
      #expect(try await server.client.post("/apply-template", "{}").error.string("param") == "messages")
    }
  }

  @Test func embeddingsAreRefusedWithASentence() async throws {
    try await TestServer.run { server in
      let reply = try await server.client.post("/v1/embeddings", #"{"input":"Hi"}"#)
      #expect(reply.status == 501 && reply.error.string("code") == "not_supported")
      #expect(reply.error.string("message")?.contains("no embeddings") == true)
    }
  }

  @Test func tokenizeAndBack() async throws {
    try await TestServer.run { server in
      let text = "The capital of France is Paris. 😀"
      let tokens = try await server.client.post("/tokenize", ["content": text])
      #expect(tokens.status == 200)
      let ids = try #require(tokens.json["tokens"] as? [Int])
      #expect(tokens.json.int("count") == ids.count)
      for field in ["tokens"] {
        let back = try await server.client.post("/detokenize", [field: ids])
        #expect(back.json.string("content") == text && back.json.string("prompt") == text)
      }
      let vllm = try await server.client.post("/tokenize", ["prompt": text, "return_token_strs": true])
      #expect(vllm.json.string("tokens.0.piece") == "The")
      #expect(try await server.client.post("/tokenize", "{}").status == 400)
      #expect(
        try await server.client.post("/detokenize", #"{"tokens":[99999999]}"#).error.string("param")
          == "tokens[0]")
      #expect(try await server.client.post("/detokenize", #"{"tokens":[]}"#).json.string("content") == "")
    }
  }

  static let question = [["role": "user", "content": "Name three colours of the rainbow."]]

  func chat(_ server: TestServer, _ fields: [String: Any] = [:]) async throws -> HTTPReply {
    var body: [String: Any] = ["model": "test-model", "messages": Self.question as [Any], "max_tokens": 24]
    body.merge(fields) { $1 }
    return try await server.client.post("/v1/chat/completions", body)
  }

  func text(_ reply: HTTPReply, _ choice: Int = 0) throws -> String {
    try #require(reply.json.string("choices.\(choice).message.content"), "\(reply.text)")
  }

  @Test func aChatIsAnsweredInOpenAIsShape() async throws {
    try await TestServer.run { server in
      let reply = try await chat(server, ["temperature": 0])
      #expect(reply.status == 200, "\(reply.text)")
      let json = reply.json
      #expect(json.string("object") == "chat.completion" && json.string("model") == "test-model")
      #expect(json.string("id")?.hasPrefix("chatcmpl-") == true && json.int("created") ?? 0 > 1_700_000_000)
      #expect(json.string("choices.0.message.role") == "assistant")
      #expect(try text(reply).isEmpty == false)
      #expect(["stop", "length"].contains(json.string("choices.0.finish_reason")))
      let prompt = try #require(json.int("usage.prompt_tokens"))
      let completion = try #require(json.int("usage.completion_tokens"))
      #expect(prompt > 5 && completion > 0 && json.int("usage.total_tokens") == prompt + completion)
      #expect(json.int("timings.predicted_n") == completion)
      let cached = try #require(json.int("usage.prompt_tokens_details.cached_tokens"))
      #expect(json.int("timings.cache_n") == cached && json.int("timings.prompt_n") == prompt - cached)
      #expect((json[path: "speculation.ttft_ms"] as? Double) ?? 0 > 0)
      let parts = ["worker", "local", "lookup", "target"].compactMap { json.int("speculation.from_\($0)") }
      #expect(parts.count == 4 && parts.reduce(0, +) == completion)
      #expect(json.int("speculation.steps") ?? 0 > 0 && json.int("speculation.seed") != nil)
      #expect(reply.headers["x-request-id"]?.hasPrefix("req-") == true)
    }
  }

  @Test func speculationOffAndOnGiveOneAnswer() async throws {
    try await TestServer.run { server in
      for fields: [String: Any] in [["temperature": 0], ["temperature": 0.9, "seed": 7, "top_k": 50]] {
        let plain = try await chat(server, fields.merging(["speculation": ["mode": "off"]]) { $1 })
        let speculative = try await chat(
          server, fields.merging(["speculation": ["mode": "auto", "width": 8]]) { $1 })
        #expect(try text(plain) == text(speculative))
        #expect(plain.json.int("speculation.from_lookup") == 0)
      }
      let local = try await chat(server, ["speculation": ["mode": "local"]])
      #expect(local.status == 400 && local.error.string("message")?.contains("no draft model") == true)
    }
  }

  @Test func aSeedRepeatsAnAnswerAndIsReported() async throws {
    try await TestServer.run { server in
      let first = try await chat(server)
      let seed = try #require(first.json.int("speculation.seed"))
      let again = try await chat(server, ["seed": seed])
      #expect(try text(first) == text(again))
      #expect(again.json.int("speculation.seed") == seed)
      // Two answers with drawn seeds and 24 tokens at temperature 1 are the same only by a miracle.
      let other = try await chat(server, ["seed": seed + 1])
      #expect(try text(first) != text(other))
    }
  }

  @Test func noTopPLeavesTheLikeliestToken() async throws {
    try await TestServer.run { server in
      let greedy = try await chat(server, ["temperature": 0])
      let reply = try await chat(server, ["temperature": 1, "top_p": 0, "seed": 5])
      #expect(try reply.status == 200 && text(reply) == text(greedy))
    }
  }

  @Test func severalChoicesAreThoseOfTheirSeeds() async throws {
    try await TestServer.run { server in
      let several = try await chat(server, ["seed": 5, "n": 3, "max_tokens": 12])
      for index in 0..<3 {
        let one = try await chat(server, ["seed": 5 + index, "max_tokens": 12])
        #expect(try text(several, index) == text(one))
        #expect(several.json.int("choices.\(index).index") == index)
      }
      #expect(
        several.json.int("usage.prompt_tokens")
          == (try await chat(server, ["max_tokens": 1])).json.int("usage.prompt_tokens"))
    }
  }

  @Test func stopStringsEndTheTextBeforeThem() async throws {
    try await TestServer.run { server in
      let fields: [String: Any] = ["temperature": 0, "max_tokens": 40]
      let whole = try text(try await chat(server, fields))
      let characters = Array(whole)
      try #require(characters.count > 24)
      // Strings that begin and end anywhere, so also inside tokens.
      for (from, length) in [(3, 2), (7, 5), (11, 9), (16, 3)] {
        let stop = String(characters[from..<from + length])
        let expected = String(whole[..<(try #require(whole.range(of: stop)).lowerBound)])
        for streamed in [false, true] {
          let body = fields.merging(["stop": ["never to be found", stop], "stream": streamed]) { $1 }
          let reply = try await chat(server, body)
          let got = streamed ? streamedText(reply) : try text(reply)
          #expect(got == expected, "stop \(stop.debugDescription)")
          let reason =
            streamed
            ? reply.events.compactMap { $0.string("choices.0.finish_reason") }.last
            : reply.json.string("choices.0.finish_reason")
          #expect(reason == "stop")
        }
      }
    }
  }

  func streamedText(_ reply: HTTPReply, choice: Int = 0) -> String {
    reply.events.filter { $0.int("choices.0.index") == choice }
      .compactMap { $0.string("choices.0.delta.content") ?? $0.string("choices.0.text") }.joined()
  }

  @Test func aStreamSaysWhatTheWholeAnswerSays() async throws {
    try await TestServer.run { server in
      for fields: [String: Any] in [
        ["temperature": 0], ["seed": 11], ["seed": 3, "n": 2, "max_tokens": 10],
        ["seed": 4, "messages": [["role": "user", "content": "Answer with emoji only: 😀🎉"]]],
      ] {
        let whole = try await chat(server, fields)
        let stream = try await chat(
          server, fields.merging(["stream": true, "stream_options": ["include_usage": true]]) { $1 })
        #expect(stream.headers["content-type"] == "text/event-stream; charset=utf-8")
        let choices = try #require(whole.json["choices"] as? [Any]).count
        for choice in 0..<choices {
          #expect(try streamedText(stream, choice: choice) == text(whole, choice))
          let own = stream.events.filter { $0.int("choices.0.index") == choice }
          #expect(own.first?.string("choices.0.delta.role") == "assistant")
          #expect(
            own.last?.string("choices.0.finish_reason")
              == whole.json.string("choices.\(choice).finish_reason"))
          #expect(
            own.allSatisfy {
              $0.string("object") == "chat.completion.chunk" && $0.string("id") == own[0].string("id")
            })
        }
        let usage = try #require(stream.events.last)
        #expect((usage["choices"] as? [Any])?.isEmpty == true)
        #expect(usage.int("usage.completion_tokens") == whole.json.int("usage.completion_tokens"))
        #expect(usage.int("usage.prompt_tokens") == whole.json.int("usage.prompt_tokens"))
        #expect(stream.text.hasSuffix("data: [DONE]\n\n"))
      }
    }
  }

  @Test func completionsTakeEveryKindOfPrompt() async throws {
    try await TestServer.run { server in
      let text = "The capital of France is"
      let ids = try #require(
        try await server.client.post("/tokenize", ["prompt": text]).json["tokens"] as? [Int])
      func complete(_ prompt: Any, _ fields: [String: Any] = [:]) async throws -> HTTPReply {
        var body: [String: Any] = ["prompt": prompt, "max_tokens": 8, "temperature": 0]
        body.merge(fields) { $1 }
        return try await server.client.post("/v1/completions", body)
      }
      let one = try await complete(text)
      #expect(one.status == 200, "\(one.text)")
      #expect(
        one.json.string("object") == "text_completion" && one.json.string("id")?.hasPrefix("cmpl-") == true)
      let answer = try #require(one.json.string("choices.0.text"))
      #expect(try await complete(ids).json.string("choices.0.text") == answer)
      let several = try await complete([text, "Once upon a time"])
      #expect(several.json.string("choices.0.text") == answer)
      #expect(several.json.string("choices.1.text")?.isEmpty == false)
      #expect(try await complete([ids, ids]).json.string("choices.1.text") == answer)
      #expect(try await complete(text, ["echo": true]).json.string("choices.0.text") == text + answer)
      #expect(try await complete(ids, ["echo": true]).json.string("choices.0.text") == text + answer)
      let stream = try await complete(text, ["stream": true, "echo": true])
      #expect(streamedText(stream) == text + answer)
      // 16 tokens unless more are asked for, as OpenAI's.
      let short = try await server.client.post("/v1/completions", ["prompt": text, "temperature": 0])
      #expect(short.json.int("usage.completion_tokens") ?? 99 <= 16)
      #expect(try await complete([99_999_999]).error.string("param") == "prompt[0]")
      #expect(try await complete("").status == 400)
    }
  }

  @Test func thePromptMustFitAndTheAnswerIsClipped() async throws {
    try await TestServer.run { server in
      let long = String(repeating: "word ", count: TestModel.contextLength)
      let reply = try await server.client.post("/v1/completions", ["prompt": long])
      #expect(reply.status == 400 && reply.error.string("code") == "context_length_exceeded")
      let message = try #require(reply.error.string("message"))
      #expect(message.contains("\(TestModel.contextLength)") && message.contains("tokens"))
      let near = String(repeating: " word", count: TestModel.contextLength - 8)
      let clipped = try await server.client.post(
        "/v1/completions", ["prompt": near, "max_tokens": 100_000, "logit_bias": ["0": 0]])
      #expect(clipped.status == 200, "\(clipped.text)")
      if clipped.json.string("choices.0.finish_reason") == "length" {
        #expect(clipped.json.int("usage.total_tokens") == TestModel.contextLength)
      }
    }
  }

  @Test func modelsAreToldApart() async throws {
    try await TestServer.run { server in
      let wrong = try await chat(server, ["model": "gpt-4o"])
      #expect(wrong.status == 404 && wrong.error.string("code") == "model_not_found")
      #expect(wrong.error.string("param") == "model")
      let alias = try await chat(server, ["model": "alias/of-model", "max_tokens": 1])
      #expect(alias.json.string("model") == "alias/of-model")
    }
  }

  @Test func grammarProblemsAreTheClients() async throws {
    try await TestServer.run({ configuration in
      configuration.makeGrammar = { _ in throw UnavailableChoice("the schema has no type at $.a") }
    }) { server in
      let reply = try await chat(server, ["response_format": ["type": "json_object"]])
      #expect(reply.status == 400 && reply.error.string("param") == "response_format")
      #expect(reply.error.string("message")?.contains("no type at $.a") == true)
      #expect(try await chat(server, ["grammar": "root ::="]).error.string("param") == "grammar")
    }
  }

  /// Where a grammar leads nowhere, the answer does not say that it is complete.
  @Test func aDeadEndIsToldFromAnEnd() async throws {
    try await TestServer.run { server in
      let seen = try await chat(server, ["grammar": #"root ::= "hello" [^\x00-\U0010FFFF]"#])
      #expect(seen.status == 400 && seen.error.string("param") == "grammar")
      #expect(seen.error.string("message")?.contains("no text follows it") == true, "\(seen.text)")
      let schema: [String: Any] = [
        "type": "object", "properties": ["next": ["$ref": "#"]], "required": ["next"],
        "additionalProperties": false,
      ]
      let endless = try await chat(
        server, ["response_format": ["type": "json_schema", "json_schema": ["schema": schema]]])
      #expect(endless.status == 400 && endless.error.string("param") == "response_format", "\(endless.text)")
      // More ways to go on than are followed.
      let wide = #"root ::= "a" ("# + (0..<3000).map { "\"b\($0)\"" }.joined(separator: " | ") + ")"
      for streamed in [false, true] {
        let reply = try await chat(server, ["grammar": wide, "stream": streamed])
        let reason =
          streamed
          ? reply.events.compactMap { $0.string("choices.0.finish_reason") }.last
          : reply.json.string("choices.0.finish_reason")
        #expect(reason == "dead_end", "\(reply.text)")
      }
      let whole = try await chat(server, ["grammar": #"root ::= "hello""#])
      #expect(try text(whole) == "hello" && whole.json.string("choices.0.finish_reason") == "stop")
      let metrics = try await server.client.get("/metrics").text
      #expect(metrics.contains(#"finished_reason="dead_end"} 2"#))
    }
  }

  /// A whole document of hostile bodies: each gets a 400 with a reason.
  @Test(arguments: ["/v1/chat/completions", "/v1/completions", "/tokenize", "/detokenize"])
  func malformedBodiesAreRefused(path: String) async throws {
    try await TestServer.run { server in
      let bodies: [[UInt8]] = [
        [], Array("null".utf8), Array("[]".utf8), Array("{".utf8), [0xFF, 0xFE, 0x7B],
        Array(String(repeating: "[", count: 50_000).utf8), Array(#"{"model":"\ud800"}"#.utf8),
        Array(#"{"prompt":1e400}"#.utf8), Array(#"{"prompt":"x","prompt":"y"}"#.utf8),
      ]
      for body in bodies {
        let reply = try await server.client.send(server.client.request("POST", path, body: body))
        #expect(reply.status == 400, "\(String(decoding: body.prefix(40), as: UTF8.self)): \(reply.text)")
        #expect(reply.error.string("message")?.isEmpty == false)
      }
    }
  }
}
