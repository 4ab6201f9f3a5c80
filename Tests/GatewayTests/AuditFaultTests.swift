import Foundation
import LlamaBackend
import ModelBackend
import ModelStore
import NodeRuntime
import SpeculationCore
import SpeculationTesting
import Synchronization
import Testing

private let modelPath = ModelStore.cacheDirectory().appending(
  path: "models/smollm2-135m-instruct-q4_1.gguf"
).path

/// Faults planted into the embedded engine and around it are found by an audit, each time, and nothing else is.
@Suite(
  .enabled(if: FileManager.default.fileExists(atPath: modelPath), "smollm2-135m-instruct is not here"),
  .serialized)
struct AuditFaultTests {
  private final class Findings: NodeObserver {
    private let found = Mutex<[AuditFinding]>([])
    private let ended = Mutex(0)

    var all: [AuditFinding] { found.withLock { $0 } }
    /// Answers that are over. Counted before an audit can begin.
    var answers: Int { ended.withLock { $0 } }

    func observe(_ event: NodeEvent) {
      switch event {
      case .audited(let finding, _, _): found.withLock { $0.append(finding) }
      case .finished: ended.withLock { $0 += 1 }
      default: break
      }
    }

    /// - Throws: when they do not come within a minute
    func first(_ count: Int) async throws -> [AuditFinding] {
      for _ in 0..<600 where all.count < count { try await Task.sleep(for: .milliseconds(100)) }
      return all
    }
  }

  private static func engine(cacheTokens: Int = 0) async throws -> LlamaEngine {
    try await LlamaEngine.load(
      path: modelPath,
      options: LlamaOptions(contextLength: 256, sessions: 2, cacheTokens: cacheTokens, threads: 1))
  }

  private static func node(
    _ target: any TargetModel, _ findings: Findings
  ) -> ControllerNode {
    ControllerNode(
      target: target, configuration: ControllerNode.Configuration(auditShare: 1), observer: findings)
  }

  /// Texts that repeat themselves, so that guesses from the text itself are verified.
  private static func prompt(_ index: Int, _ engine: LlamaEngine) throws -> [TokenID] {
    let line = ["one two three four five six seven eight ", "red green blue yellow black white "][index % 2]
    return try engine.tokenizer.encode(
      String(repeating: line, count: 8), addSpecial: true, parseSpecial: false)
  }

  /// At a temperature, so that no fault is too small to turn a choice sooner or later.
  private static func generate(_ node: ControllerNode, _ prompt: [TokenID], _ count: Int) async throws {
    let request = GenerationRequest(
      prompt: prompt, sampling: SamplingSettings(temperature: 1, seed: 7), maxTokens: count,
      speculation: .wideArea(minGain: 0), ignoresEnd: true)
    for try await _ in await node.generate(request) {}
  }

  @Test func withoutAFaultNothingIsFound() async throws {
    let engine = try await Self.engine()
    let findings = Findings()
    let node = Self.node(engine, findings)
    for index in 0..<3 { try await Self.generate(node, try Self.prompt(index, engine), 24) }
    let all = try await findings.first(3)
    #expect(all.map(\.outcome) == [.same, .same, .same])
  }

  /// The controller is told of another choice than the target's.
  @Test func aFlippedVerdictIsFound() async throws {
    let engine = try await Self.engine()
    let findings = Findings()
    let decisions = Mutex(0)
    let target = AlteredTarget(engine) { _, results in
      guard !results[0].choices.isEmpty else { return }
      let number = decisions.withLock { number in
        number += 1
        return number
      }
      // Once, in the middle of the answer.
      if number == 3 { results[0].choices[0].token += 1 }
    }
    let node = Self.node(target, findings)
    try await Self.generate(node, try Self.prompt(0, engine), 24)
    let all = try await findings.first(1)
    #expect(all.count == 1 && all.allSatisfy(\.outcome.isDifferent), "\(all.map(\.outcome))")
  }

  /// A cell of the prompt holds another token's keys and values.
  @Test func aStaleCellIsFound() async throws {
    let engine = try await Self.engine()
    let findings = Findings()
    let prompt = try Self.prompt(0, engine)
    let left = Mutex(prompt.count / 2)
    // The second half of the prompt, as it is read for the first time.
    await engine.setFault { token, position in
      guard position >= prompt.count / 2, position < prompt.count else { return (token, position) }
      let isFirst = left.withLock { left in
        defer { left -= 1 }
        return left > 0
      }
      return isFirst ? (token + 1, position) : (token, position)
    }
    let node = Self.node(engine, findings)
    try await Self.generate(node, prompt, 24)
    let all = try await findings.first(1)
    #expect(all.count == 1 && all.allSatisfy(\.outcome.isDifferent), "\(all.map(\.outcome))")
  }

  /// A text that had to make room is read again with its tokens at other places.
  @Test func aWrongPositionAfterAPreemptionIsFound() async throws {
    // Room for one text and a half.
    let engine = try await Self.engine(cacheTokens: 256)
    let findings = Findings()
    let node = Self.node(engine, findings)
    // Texts that leave the model in doubt: where it only repeats itself, no fault turns a choice.
    let prompts = try [
      "Dear Anna, the harbour was empty when we came back from the island, and nobody could say where the others had gone. ",
      "The committee met in the old library to talk about rain, bread, three broken bicycles and a letter from the mayor. ",
    ].map {
      try engine.tokenizer.encode(String(repeating: $0, count: 2), addSpecial: true, parseSpecial: false)
    }
    let seen = Mutex([Int: Int]())
    await engine.setFault { token, position in
      guard (8..<40).contains(position) else { return (token, position) }
      let times = seen.withLock { seen in
        seen[position, default: 0] += 1
        return seen[position]!
      }
      // Each of the two texts has been read once; whatever is read again before both are done was preempted. They change places.
      guard times >= 3, findings.answers < 2, let text = prompts.first(where: { $0[position] == token })
      else {
        return (token, position)
      }
      return (text[47 - position], position)
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for prompt in prompts { group.addTask { try await Self.generate(node, prompt, 120) } }
      try await group.waitForAll()
    }
    let preemptions = await node.status().preemptions
    try #require(preemptions > 0, "nobody had to make room")
    let all = try await findings.first(2)
    #expect(all.count == 2 && all.contains { $0.outcome.isDifferent }, "\(all.map(\.outcome))")
  }
}
