import Foundation
import LatencyStudy
import RegionEmulator
import StreamFormats
import Testing

/// The emulator as a stranger sees it: bytes of a socket.
@Suite(.serialized) struct EmulatorWireTests {
  private static let chat = #"{"stream":true,"messages":[],"max_tokens":5}"#
  private static let converse = #"{"messages":[],"inferenceConfig":{"maxTokens":5}}"#
  private static let home = "/eu-west-2/us-east-1"

  private func running<T>(
    _ extra: String = "", faults: String = "", servers: String = "servers: 500, load: 0", log: String? = nil,
    maxConnections: Int = 100, _ body: (RegionEmulator) async throws -> T
  ) async throws -> T {
    let emulated = try emulatedRegions(
      extra.contains("links:") ? extra : "links: {eu-west-2: {us-east-1: 0ms}}\n" + extra,
      regions: "- {region: us-east-1, \(servers), prefill: 5ms, per-token: 1ms, sigma: 0\(faults)}")
    let emulator = try await RegionEmulator.start(
      emulated, host: "127.0.0.1", port: 0, log: log, maxConnections: maxConnections)
    do {
      let result = try await body(emulator)
      await emulator.stop()
      return result
    } catch {
      await emulator.stop()
      throw error
    }
  }

  private func fault(_ kind: String) -> String { ", faults: [{kind: \(kind), share: 100%}]" }

  private func events(_ answer: Answer) throws -> [String] {
    var decoder = ServerSentEventDecoder()
    return try decoder.append(answer.body).map(\.data)
  }

  private func object(_ text: String) -> [String: Any] {
    (try? JSONSerialization.jsonObject(with: Data(text.utf8))) as? [String: Any] ?? [:]
  }

  @Test func aChatStreamsAsOpenAIWouldSayIt() async throws {
    try await running { emulator in
      let connection = try RawConnection(port: emulator.port)
      let body = #"{"stream":true,"messages":[],"max_tokens":5,"stream_options":{"include_usage":true}}"#
      connection.post("\(Self.home)/v1/chat/completions", body)
      let answer = connection.read()
      #expect(answer.status == 200 && answer.isWhole)
      #expect(answer.headers["content-type"] == "text/event-stream")
      #expect(answer.headers["x-request-id"] == "test-1")
      let events = try events(answer)
      #expect(events.last == "[DONE]")
      let choices = events.compactMap { (object($0)["choices"] as? [[String: Any]])?.first }
      let deltas = choices.map { $0["delta"] as? [String: Any] ?? [:] }
      #expect(deltas.first?["role"] as? String == "assistant")
      #expect(deltas.compactMap { $0["content"] as? String }.filter { !$0.isEmpty }.count == 5)
      #expect(choices.last?["finish_reason"] as? String == "length")
      let usage = object(events[events.count - 2])["usage"] as? [String: Any]
      #expect(usage?["completion_tokens"] as? Int == 5)
      // The same connection serves again; without being asked, usage is not told.
      connection.post("\(Self.home)/v1/completions", #"{"stream":true,"prompt":"a","max_tokens":2}"#)
      let second = connection.read()
      #expect(second.status == 200 && second.isWhole && !second.text.contains("usage"))
      #expect(second.headers["x-request-id"] == "test-2")
    }
  }

  @Test func theClockAndTheModelsAreTold() async throws {
    try await running("acceleration: 1000\nstart: 2026-01-05T00:00:00Z") { emulator in
      let connection = try RawConnection(port: emulator.port)
      connection.get("/clock")
      let clock = connection.read()
      let time = try #require(clock.json["time"] as? Double)
      #expect(time >= 1_767_571_200 && time < 1_767_571_200 + 1000 * 600)
      #expect(clock.json["acceleration"] as? Double == 1000 && clock.json["name"] as? String == "test")
      #expect(clock.headers["x-request-id"]?.isEmpty == false)
      connection.get("\(Self.home)/v1/models")
      #expect(((connection.read().json["data"] as? [[String: Any]])?.first?["id"] as? String) == "emulated")
    }
  }

  @Test(
    arguments: [
      ("/eu-west-2/us-east-1/v1/chat/completions", "{", 400, "no JSON object"),
      ("/eu-west-2/us-east-1/v1/chat/completions", #"{"messages":[]}"#, 400, "set stream to true"),
      ("/eu-west-2/us-east-1/v1/chat/completions", #"{"stream":true}"#, 400, "messages is missing"),
      ("/eu-west-2/us-east-1/v1/completions", #"{"stream":true}"#, 400, "prompt is missing"),
      (
        "/eu-west-2/us-east-1/v1/completions", #"{"stream":true,"prompt":"","max_tokens":"5"}"#, 400,
        "max_tokens must be a whole number"
      ),
      (
        "/eu-west-2/us-east-1/v1/completions", #"{"stream":true,"prompt":"","max_tokens":1.5}"#, 400,
        "max_tokens must be a whole number"
      ),
      (
        "/eu-west-2/us-east-1/v1/completions", #"{"stream":true,"prompt":"","max_tokens":0}"#, 400,
        "between 1 and 4096"
      ),
      ("/eu-west-2/us-east-9/v1/completions", #"{"stream":true,"prompt":""}"#, 404, "us-east-9"),
      ("/mars/us-east-1/v1/completions", #"{"stream":true,"prompt":""}"#, 404, "mars"),
      ("/eu-west-2/us-east-1/v2/completions", "{}", 404, "nothing at"), ("/", "{}", 404, "nothing at"),
    ])
  func badRequestsOfOpenAIAreRefused(path: String, body: String, status: Int, message: String) async throws {
    try await running { emulator in
      let connection = try RawConnection(port: emulator.port)
      connection.post(path, body)
      let answer = connection.read()
      #expect(answer.status == status)
      let error = try #require(answer.json["error"] as? [String: Any])
      #expect((error["message"] as? String)?.contains(message) == true, "\(answer.text)")
      #expect(error["type"] as? String == (status == 404 ? "not_found_error" : "invalid_request_error"))
      #expect(answer.headers["x-request-id"]?.isEmpty == false)
      #expect(emulator.statistics.refusals == 1 && emulator.statistics.requests == 0)
      // The connection is still good.
      connection.get("/clock")
      #expect(connection.read().status == 200)
    }
  }

  @Test(
    arguments: [
      ("converse-stream", "[]", "no JSON object"), ("converse-stream", "{}", "messages is missing"),
      ("invoke-with-response-stream", "{}", "anthropic_version"),
      ("invoke-with-response-stream", #"{"anthropic_version":"bedrock-2023-05-31"}"#, "messages is missing"),
    ])
  func badRequestsOfBedrockAreRefused(path: String, body: String, message: String) async throws {
    try await running { emulator in
      let connection = try RawConnection(port: emulator.port)
      connection.post("\(Self.home)/model/a%3A0/\(path)", body)
      let answer = connection.read()
      #expect(answer.status == 400 && answer.headers["x-amzn-errortype"] == "ValidationException")
      #expect((answer.json["message"] as? String)?.contains(message) == true, "\(answer.text)")
    }
  }

  @Test func largeBodiesAndWrongMethodsAreRefused() async throws {
    try await running { emulator in
      let connection = try RawConnection(port: emulator.port)
      connection.post("\(Self.home)/v1/completions", String(repeating: " ", count: (1 << 20) + 1))
      #expect(connection.read().status == 413)
      connection.get("\(Self.home)/v1/completions")
      #expect(connection.read().status == 405)
    }
  }

  // MARK: Faults

  @Test(
    arguments: [
      ("throttle", 429, "rate_limit_error", "ThrottlingException"),
      ("error", 500, "server_error", "InternalServerException"),
      ("unavailable", 503, "server_error", "ServiceUnavailableException"),
      ("forbidden", 403, "permission_error", "AccessDeniedException"),
    ])
  func faultsWithAStatus(kind: String, status: Int, type: String, exception: String) async throws {
    try await running(faults: fault(kind)) { emulator in
      let connection = try RawConnection(port: emulator.port)
      connection.post("\(Self.home)/v1/chat/completions", Self.chat)
      let openAI = connection.read()
      #expect(openAI.status == status)
      #expect((openAI.json["error"] as? [String: Any])?["type"] as? String == type)
      connection.post("\(Self.home)/model/a/converse-stream", Self.converse)
      let bedrock = connection.read()
      #expect(bedrock.status == status && bedrock.headers["x-amzn-errortype"] == exception)
      #expect((bedrock.headers["retry-after"] == "1") == (status == 429))
      #expect(emulator.statistics.faults == 2)
    }
  }

  /// - Returns: an answer in OpenAI's form, and how the connection ended
  private func chat(_ kind: String, patience: Double = 5) async throws -> (Answer, RawConnection.Ending) {
    try await running(faults: fault(kind)) { emulator in
      let connection = try RawConnection(port: emulator.port, patience: patience)
      connection.post("\(Self.home)/v1/chat/completions", Self.chat)
      return (connection.read(), connection.ending)
    }
  }

  private func converse(_ kind: String) async throws -> (messages: [EventStreamMessage], error: (any Error)?)
  {
    let answer = try await running(faults: fault(kind)) { emulator in
      let connection = try RawConnection(port: emulator.port)
      connection.post("\(Self.home)/model/a/converse-stream", Self.converse)
      return connection.read()
    }
    #expect(answer.status == 200)
    var decoder = EventStreamDecoder()
    decoder.append(answer.body)
    var messages: [EventStreamMessage] = []
    do {
      while let message = try decoder.next() { messages.append(message) }
      try decoder.finish()
    } catch { return (messages, error) }
    return (messages, nil)
  }

  @Test func nothingIsAStreamWithoutText() async throws {
    let (answer, ending) = try await chat("nothing")
    #expect(answer.status == 200 && answer.isWhole && ending == .open)
    #expect(!answer.text.contains(#""content":" "#) && answer.text.contains("[DONE]"))
    #expect(
      try await converse("nothing").messages.allSatisfy { $0.text(":event-type") != "contentBlockDelta" })
  }

  @Test func aStallStaysOpen() async throws {
    let (answer, ending) = try await chat("stall", patience: 0.2)
    #expect(answer.status == 200 && !answer.isWhole && ending == .open)
    #expect(answer.text.contains(#""content":" the""#))
  }

  @Test func aResetIsOne() async throws {
    let (answer, ending) = try await chat("reset")
    #expect(answer.status == 200 && !answer.isWhole && ending == .reset)
  }

  @Test func aTruncatedAnswerEndsInOrderWithoutItsMark() async throws {
    let (answer, ending) = try await chat("truncate")
    #expect(answer.isWhole && ending == .open)
    #expect(answer.text.contains(#""content":" the""#) && !answer.text.contains("[DONE]"))
  }

  @Test(arguments: ["malformed", "crc"])
  func brokenBytesAreBroken(kind: String) async throws {
    let (answer, _) = try await chat(kind)
    #expect(object(try #require(try events(answer).last)).isEmpty)
    let bedrock = try await converse(kind)
    if kind == "crc" {
      #expect(bedrock.error != nil)
    } else {
      #expect(bedrock.error == nil)
      #expect(object(String(decoding: try #require(bedrock.messages.last).payload, as: UTF8.self)).isEmpty)
    }
    #expect(bedrock.messages.contains { $0.text(":event-type") == "contentBlockDelta" })
  }

  @Test func anExceptionComesInMidStream() async throws {
    let (answer, _) = try await chat("exception")
    #expect(object(try #require(try events(answer).last))["error"] != nil)
    let last = try #require(try await converse("exception").messages.last)
    #expect(last.text(":message-type") == "exception")
    #expect(last.text(":exception-type") == "modelStreamErrorException")
  }

  @Test func atOnceIsWhole() async throws {
    let (answer, _) = try await chat("at-once")
    #expect(answer.isWhole && answer.text.contains("[DONE]"))
  }

  // MARK: Room, connections, keys

  /// One server and one place to wait: the third of three is turned away.
  @Test func fullQueuesSaySo() async throws {
    try await running(servers: "servers: 1, queue: 1, load: 0") { emulator in
      let body = #"{"stream":true,"prompt":"","max_tokens":600}"#
      let connections = try (0..<3).map { _ in try RawConnection(port: emulator.port) }
      for connection in connections { connection.post("\(Self.home)/v1/completions", body) }
      // Their order is the kernel's affair.
      let answers = connections.map { $0.read() }
      #expect(answers.map(\.status).sorted() == [200, 200, 503])
      let refused = try #require(answers.first { $0.status == 503 })
      #expect(refused.text.contains("1 requests wait already"))
    }
  }

  @Test func connectionsAreLimited() async throws {
    try await running(maxConnections: 1) { emulator in
      let first = try RawConnection(port: emulator.port)
      first.get("/clock")
      #expect(first.read().status == 200)
      let second = try RawConnection(port: emulator.port)
      second.get("/clock")
      #expect(second.read().status == 0 && second.ending != .open)
      #expect(emulator.statistics.connections == 1 && emulator.statistics.connectionsRefused == 1)
    }
  }

  @Test func keysAreAskedFor() async throws {
    try await running("keys: {bearer: B, access-key: A, secret-key: S}") { emulator in
      let connection = try RawConnection(port: emulator.port)
      func status(_ path: String, _ body: String, _ headers: [String]) -> (Int, String) {
        connection.post(Self.home + path, body, headers: headers)
        let answer = connection.read()
        return (answer.status, answer.headers["x-amzn-errortype"] ?? "")
      }
      /// A request that is right but for what the arguments change.
      func signed(age: Double = 0, secret: String = "S", id: String = "A", region: String = "us-east-1")
        -> [String]
      {
        SignatureV4(keys: SigningKeys(accessKeyID: id, secretAccessKey: secret), region: region).headers(
          method: "POST", path: "\(Self.home)/model/a%3A0/converse-stream",
          headers: [(name: "host", value: "test")],
          body: Array(Self.converse.utf8), date: Date(timeIntervalSinceNow: -age)
        ).map { "\($0.name): \($0.value)" }
      }
      let path = "/model/a%3A0/converse-stream"
      #expect(status("/v1/chat/completions", Self.chat, ["authorization: Bearer B"]).0 == 200)
      #expect(status("/v1/chat/completions", Self.chat, ["authorization: Bearer X"]).0 == 401)
      #expect(status("/v1/chat/completions", Self.chat, []).0 == 401)
      #expect(status(path, Self.converse, signed()).0 == 200)
      #expect(status(path, Self.converse, []) == (403, "MissingAuthenticationTokenException"))
      #expect(status(path, Self.converse, signed(age: 400)) == (403, "ExpiredTokenException"))
      #expect(status(path, Self.converse, signed(age: -400)) == (403, "ExpiredTokenException"))
      #expect(status(path, Self.converse, signed(id: "C")) == (403, "UnrecognizedClientException"))
      #expect(status(path, Self.converse, signed(secret: "X")) == (403, "InvalidSignatureException"))
      #expect(status(path, Self.converse, signed(region: "eu-west-2")) == (403, "InvalidSignatureException"))
      #expect(status(path, Self.converse + " ", signed()) == (403, "InvalidSignatureException"))
    }
  }

  // MARK: The log

  @Test func theLogTellsWhatIsTrue() async throws {
    let path = FileManager.default.temporaryDirectory.appending(path: "emulator-\(UUID()).jsonl").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    try await running("links: {eu-west-2: {us-east-1: 20ms}}", log: path) { emulator in
      let connection = try RawConnection(port: emulator.port)
      connection.post("\(Self.home)/v1/chat/completions", Self.chat)
      #expect(connection.read().isWhole)
      connection.post("\(Self.home)/v1/chat/completions", "{")
      #expect(connection.read().status == 400)
      #expect(emulator.statistics.logLinesLost == 0)
    }
    // Stopping waits for the last line.
    let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
      object(String($0))
    }
    try #require(lines.count == 2)
    let first = lines[0]
    func number(_ name: String) throws -> Double { try #require(first[name] as? Double, "\(name)") }
    #expect(first["id"] as? String == "test-1" && first["api"] as? String == "openai-chat")
    #expect(first["source"] as? String == "eu-west-2" && first["region"] as? String == "us-east-1")
    #expect(first["status"] as? Int == 200 && first["tokens"] as? Int == 5 && first["written"] as? Int == 5)
    #expect(try number("wait") == 0 && number("roundTrip") == 0.02)
    #expect(try abs(number("service") - 0.005) < 1e-9)
    // Never sooner than the round trip and the service; 4 ms from the first to the last.
    let ttft = try number("firstContent") - number("received")
    #expect(ttft >= 25e6)
    #expect(try number("ended") - number("received") >= 29e6)
    #expect(lines[1]["status"] as? Int == 400 && lines[1]["firstContent"] == nil)
  }

  /// A disk that is full takes no line; nobody notices but who asks. What the log's path names is written to, never
  /// replaced. The device is the test's own, since a mistake here would cost the machine its /dev/full.
  @Test func aFullDiskLosesLinesAndSaysSo() async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "emulator-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "full").path
    guard makeFullDevice(path) else { return print("skipped: no device without root") }
    let emulated = try emulatedRegions("links: {eu-west-2: {us-east-1: 0ms}}")
    let emulator = try await RegionEmulator.start(emulated, host: "127.0.0.1", port: 0, log: path)
    let connection = try RawConnection(port: emulator.port)
    connection.post("\(Self.home)/v1/chat/completions", Self.chat)
    #expect(connection.read().isWhole)
    await emulator.stop()
    #expect(emulator.statistics.logLinesLost == 1)
    let kind = try FileManager.default.attributesOfItem(atPath: path)[.type] as? FileAttributeType
    #expect(kind == .typeCharacterSpecial)
  }
}
