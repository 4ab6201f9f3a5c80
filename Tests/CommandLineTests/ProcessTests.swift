import Foundation
import ModelStore
import SpeculationTesting
import Testing

/// Controller and worker as real processes with a real model (SmolLM2-135M, a copy of it with coarser weights as the
/// draft): whatever happens to the worker, the text is the plain one.
///
/// Needs the models of `make test`; without them the suite is skipped and says so.
@Suite(.serialized, .enabled(if: Models.arePresent, "run `make test` once: it fetches the models"))
struct ProcessTests {
  static let prompt = "Write a short story about a lighthouse keeper and a storm."
  static let maxTokens = 80

  static func generate(_ mode: String, _ more: [String] = []) -> [String] {
    [
      "generate", "--mode", mode, "--target", Models.target, "--draft", Models.draft, "--max-tokens",
      "\(maxTokens)", "--threads", "1", "--json",
    ] + more + [prompt]
  }

  static func worker(port: Int, _ more: [String] = []) -> [String] {
    [
      "worker", "--connect", "127.0.0.1:\(port)", "--draft", Models.draft, "--threads", "1", "--json",
      // Three engines share two cores here: a polite worker would never get to say anything.
      "--name", "test", "--nice", "0",
    ] + more
  }

  static func tokens(_ program: RunningProgram) -> [Int] {
    program.events.filter { $0["event"] as? String == "token" }.compactMap { $0["token"] as? Int }
  }

  static func plain(_ more: [String] = []) async throws -> [Int] {
    let program = try await RunningProgram(generate("plain", more))
    let result = await program.result()
    #expect(result.status == 0, "\(result.errors)")
    let tokens = tokens(program)
    #expect(tokens.count > 20)
    return tokens
  }

  /// A controller that listens on a free port, and the port.
  func controller(_ more: [String] = []) async throws -> (RunningProgram, Int) {
    let program = try await RunningProgram(
      Self.generate(
        "wan",
        ["--listen", "127.0.0.1:0", "--wait-worker", "120s", "--worker-timeout", "30s"] + more))
    let port = try #require(try await program.event("listening")["port"] as? Int)
    return (program, port)
  }

  /// Token for token.
  func expectSame(
    _ program: RunningProgram, plain: [Int], sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(Self.tokens(program) == plain, sourceLocation: sourceLocation)
  }

  /// A worker may get so little of a busy machine that the text is done before its first expansion arrives.
  /// Then another try with a longer text.
  ///
  /// - Parameter generate: returns the expansions that arrived
  func untilTheWorkerIsHeard(_ generate: (_ maxTokens: Int) async throws -> Int) async throws {
    for maxTokens in [Self.maxTokens, 4 * Self.maxTokens, 8 * Self.maxTokens] {
      if try await generate(maxTokens) > 0 { return }
    }
    Issue.record("no expansion of the worker arrived")
  }

  @Test(arguments: [[], ["--temperature", "0.9", "--top-p", "0.95", "--seed", "11"]])
  func allModesWriteTheSameText(sampling: [String]) async throws {
    let plain = try await Self.plain(sampling)
    for mode in ["local-sequential", "local-parallel"] {
      let program = try await RunningProgram(Self.generate(mode, sampling))
      #expect(await program.result().status == 0)
      expectSame(program, plain: plain)
    }
    for (policy, lookup) in [("never", "0"), ("never", "4"), ("always", "0"), ("entropy:1.0", "2")] {
      try await untilTheWorkerIsHeard { maxTokens in
        let length = ["--max-tokens", "\(maxTokens)"]
        var expected = plain
        if maxTokens > Self.maxTokens { expected = try await Self.plain(sampling + length) }
        let (program, port) = try await controller(
          sampling + length + ["--policy", policy, "--lookup", lookup, "--min-gain", "0"])
        let worker = try await RunningProgram(Self.worker(port: port))
        #expect(await program.result().status == 0)
        expectSame(program, plain: expected)
        let summary = try #require(program.events.last)
        if policy == "never" { #expect(summary["controller_draft_passes"] as? Int == 0) }
        worker.signal(SIGTERM)
        #expect(await worker.result().status == 0)
        return summary["worker_expansions"] as? Int ?? 0
      }
    }
  }

  @Test(arguments: [SIGKILL, SIGSTOP])
  func aKilledOrFrozenWorkerChangesNothing(signal: Int32) async throws {
    let plain = try await Self.plain()
    let (program, port) = try await controller(["--worker-timeout", "1s"])
    let worker = try await RunningProgram(Self.worker(port: port))
    while program.tokenCount() < 20 && program.isRunning { try await Task.sleep(for: .milliseconds(5)) }
    worker.signal(signal)
    #expect(await program.result().status == 0)
    expectSame(program, plain: plain)
    worker.signal(SIGKILL)
    _ = await worker.result()
  }

  @Test func aWorkerKeepsTryingAndSaysSo() async throws {
    let unheard = try UnheardPort()
    defer { withExtendedLifetime(unheard) {} }
    let worker = try await RunningProgram(Self.worker(port: unheard.port))
    let event = try await worker.event("disconnected")
    #expect(event["retry_ms"] != nil)
    #expect(worker.isRunning)
    worker.signal(SIGINT)
    #expect(await worker.result().status == 0)
  }

  @Test func aControllerWithoutWorkerGeneratesAnywayAndSaysSo() async throws {
    let plain = try await Self.plain()
    let program = try await RunningProgram(
      Self.generate("wan", ["--listen", "127.0.0.1:0", "--wait-worker", "100ms"]))
    #expect(await program.result().status == 0)
    #expect(program.child.output.contains("no worker within"))
    expectSame(program, plain: plain)
  }

  @Test func theLinkDelaysButChangesNothing() async throws {
    // Whether guesses come in time to be accepted depends on the machine; that they come does not.
    try await untilTheWorkerIsHeard { maxTokens in
      let length = ["--max-tokens", "\(maxTokens)"]
      let plain = try await Self.plain(length)
      let (program, port) = try await controller(length)
      let link = try await RunningProgram([
        "link", "--listen", "127.0.0.1:0", "--connect", "127.0.0.1:\(port)", "--rtt", "40ms", "--json",
        "--exit-with-parent",
      ])
      let linkPort = try #require(try await link.event("ready")["port"] as? Int)
      let worker = try await RunningProgram(Self.worker(port: linkPort, ["--exit-with-parent"]))
      #expect(await program.result().status == 0)
      expectSame(program, plain: plain)
      let summary = try #require(program.events.last)
      let expansions = summary["worker_expansions"] as? Int ?? 0
      // A worker answers the first ping before it drafts.
      if expansions > 0 { #expect(summary["rtt_ms"] as? Double ?? 0 >= 40) }
      // Both end by themselves once the pipe to their parent closes.
      worker.child.closeInput()
      link.child.closeInput()
      #expect(await worker.result().status == 0)
      #expect(await link.result().status == 0)
      return expansions
    }
  }

  @Test(.enabled(if: Models.otherVocabulary != nil, "WANSPEC_TEST_LARGE=1 make test fetches another family"))
  func otherVocabulariesAreRefusedNamingBoth() async throws {
    let other = try #require(Models.otherVocabulary)
    let (program, port) = try await controller()
    let worker = try await RunningProgram([
      "worker", "--connect", "127.0.0.1:\(port)", "--draft", other, "--json",
    ])
    let refused = await worker.result()
    #expect(refused.status == 1)
    #expect(refused.errors.lowercased().contains("smollm2"), "\(refused.errors)")
    #expect(refused.errors.lowercased().contains("qwen"), "\(refused.errors)")
    program.signal(SIGTERM)
    _ = await program.result()
  }

  @Test func aTakenPortIsNamed() async throws {
    let (program, port) = try await controller()
    let second = try await Program.run(
      Self.generate("wan", ["--listen", "127.0.0.1:\(port)", "--wait-worker", "100ms"]))
    #expect(second.status == 1)
    #expect(second.errors.contains("\(port)"), "\(second.errors)")
    program.signal(SIGKILL)
    _ = await program.result()
  }

  @Test func aPromptLongerThanTheContextIsRefused() async throws {
    let result = try await Program.run([
      "generate", "--mode", "plain", "--target", Models.target, "--context", "64",
      String(repeating: "lighthouse ", count: 200),
    ])
    #expect(result.status == 1)
    #expect(result.errors.contains("the context holds 64"), "\(result.errors)")
  }

  @Test func interruptingAGenerationEndsIt() async throws {
    let program = try await RunningProgram(Self.generate("plain", ["--max-tokens", "2000"]))
    while program.tokenCount() < 5 && program.isRunning { try await Task.sleep(for: .milliseconds(5)) }
    program.signal(SIGINT)
    let result = await program.result()
    #expect(result.status == 130)
    #expect(program.events.last?["finish_reason"] as? String == "cancelled")
  }
}

enum Models {
  static let folder = ModelStore.cacheDirectory().appending(path: "models")
  static let target = folder.appending(path: "smollm2-135m-instruct-q4_1.gguf").path
  static let draft = folder.appending(path: "smollm2-135m-instruct-q2_k.gguf").path

  static var arePresent: Bool {
    [target, draft].allSatisfy { FileManager.default.fileExists(atPath: $0) }
  }

  /// A model of another family, where the large models were fetched.
  static var otherVocabulary: String? {
    let path = folder.appending(path: "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf").path
    return FileManager.default.fileExists(atPath: path) ? path : nil
  }
}
