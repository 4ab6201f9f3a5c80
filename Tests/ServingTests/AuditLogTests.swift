import ConstrainedDecoding
import Foundation
import ModelBackend
import NodeRuntime
import Serving
import Simulator
import SpeculationCore
import SpeculationTesting
import Testing

/// What an audit writes down can be read and decided again.
@Suite struct AuditLogTests {
  private let script = ScriptedModel(seed: 3, vocabularySize: 60, endProbability: 0)
  private let prompt: [TokenID] = [5, 9, 2, 6]
  private let sampling = SamplingSettings(
    temperature: 0.8, topK: 30, seed: .max,
    adjustments: LogitAdjustments(promptLength: 4, presence: 0.5, biases: [.init(token: 7, value: -2)]))

  private func withFile(_ body: (String) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "audit-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try await body(folder.appending(path: "audit.jsonl").path)
  }

  /// An answer with another token at this place than the target's own.
  private func finding(_ index: Int) -> AuditFinding {
    var answer = script.plain(prompt, sampling: sampling, maxTokens: 8)
    let chosen = answer[index]
    answer[index] = chosen == 1 ? 2 : 1
    return AuditFinding(
      answer: SessionID(1), promptLength: prompt.count, tokens: prompt + answer,
      outcome: .different(.init(index: index, given: answer[index], chosen: chosen, margin: 0.5)))
  }

  @Test func whatIsWrittenIsDecidedAgain() async throws {
    try await withFile { path in
      let log = try AuditLog(path: path, target: "scripted")
      for index in [0, 3, 7] { try log.write(finding(index), AuditedRequest(sampling: sampling)) }
      // Nothing to write down.
      try log.write(
        AuditFinding(answer: SessionID(2), promptLength: 4, tokens: prompt + [1], outcome: .same),
        AuditedRequest())
      let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
      #expect(mode == 0o600, "prompts are for the owner only")
      let records = try AuditRecord.read(path)
      #expect(records.map(\.index) == [0, 3, 7] && records.allSatisfy { $0.prompt == prompt })
      #expect(records.allSatisfy { $0.sampling.settings == sampling && $0.target == "scripted" })
      for record in records {
        let replay = try await record.decide(with: ScriptedTarget(script))
        #expect(replay.repeats(record), "\(replay)")
      }
      // Another model leaves the answer elsewhere.
      let other = ScriptedModel(seed: 4, vocabularySize: 60, endProbability: 0)
      #expect(try await !records[2].decide(with: ScriptedTarget(other)).repeats(records[2]))
    }
  }

  /// Where a grammar holds is part of what was decided.
  @Test func theGrammarIsWrittenDownWhole() async throws {
    let trigger = GrammarTrigger(
      words: ["<call>"], patterns: ["a+"], thinkingStart: "<t>", thinkingEnds: ["</t>"],
      beginsThinking: true)
    let grammar = Grammar(
      try GrammarRules("root ::= \"<call>\""), promptLength: prompt.count, trigger: trigger, beginning: "x",
      shownTokens: [7: [1, 2], 5: [3]])
    try await withFile { path in
      let log = try AuditLog(path: path, target: "scripted")
      try log.write(finding(0), AuditedRequest(sampling: sampling, grammar: grammar))
      let record = try #require(try AuditRecord.read(path).first)
      #expect(try record.rules() == grammar)
    }
  }

  @Test func filesThatAreNoLogsAreRefused() async throws {
    try await withFile { path in
      #expect(throws: ServingError.self) { try AuditRecord.read(path) }
      try Data("{}\n".utf8).write(to: URL(fileURLWithPath: path))
      let error = #expect(throws: ServingError.self) { try AuditRecord.read(path) }
      #expect(error?.message.contains("line 1 of \(path)") == true)
      let log = try AuditLog(path: path + "2", target: "scripted")
      try log.write(finding(1), AuditedRequest(sampling: sampling))
      let text = try String(contentsOfFile: path + "2", encoding: .utf8)
        .replacing("\"index\":1", with: "\"index\":99")
      try Data(text.utf8).write(to: URL(fileURLWithPath: path))
      #expect(throws: ServingError.self) { try AuditRecord.read(path) }
      #expect(throws: ServingError.self) { try AuditLog(path: "/nowhere/audit.jsonl", target: "scripted") }
    }
  }
}
