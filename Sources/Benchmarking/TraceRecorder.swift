import Console
import Foundation
import ModelBackend
import NodeRuntime
import Serving
import Simulator
import SpeculationCore
import Synchronization

/// Runs a pair of models over prompts and collects what both say at each position.
package struct TraceRecorder: Sendable {
  /// What the recording calls the models.
  package var target: String
  package var draft: String
  package var prompts: [PromptRecord]
  package var maxTokens: Int
  /// Of the draft, for each position.
  package var candidates: Int
  package var sampling: SamplingSettings
  /// Texts of an earlier run, which are not recorded again.
  package var known: [Recording.Text] = []
  /// Of the program, for the recording.
  package var version: String

  package init(
    target: String, draft: String, prompts: [PromptRecord], maxTokens: Int, candidates: Int,
    sampling: SamplingSettings, known: [Recording.Text] = [], version: String
  ) {
    self.target = target
    self.draft = draft
    self.prompts = prompts
    self.maxTokens = maxTokens
    self.candidates = candidates
    self.sampling = sampling
    self.known = known
    self.version = version
  }

  /// Positions that one pass reads again: well below the room for guesses that engines have.
  private static let chunk = 48
  /// What is less likely is not worth its bytes.
  private static let leastProbability: Float = 0.0001

  /// - Parameter report: prompts done, of how many, and which is next
  /// - Returns: what was recorded; after SIGINT or SIGTERM, what was finished by then.
  package func run(
    _ settings: ControllerHost.Settings, report: @escaping @Sendable (Int, Int, String) -> Void
  ) async throws -> Recording {
    let finished = Mutex(known)
    let missing = prompts.filter { prompt in !known.contains { $0.id == prompt.id } }
    let described = Mutex<ModelDescription?>(nil)
    do {
      try await orInterrupted {
        try await ControllerHost.run(settings) { host in
          guard let local = host.local, let target = host.target as? any TargetModel & DraftModel else {
            preconditionFailure("a recording needs a draft model and a target that says what it expects")
          }
          described.withLock { $0 = host.target.model }
          for (index, prompt) in missing.enumerated() {
            report(prompts.count - missing.count + index, prompts.count, prompt.id)
            let text = try await record(prompt, host.node, target, local, number: UInt64(index))
            if let text { finished.withLock { $0.append(text) } }
          }
        }
      }
    } catch {
      if finished.withLock({ $0.count == known.count }) { throw error }
      StandardError.write("stopped early (\(error)); keeping the texts that are finished\n")
    }
    let model = described.withLock { $0 }!
    let day = Date().formatted(.iso8601.year().month().day())
    return Recording(
      target: target, draft: draft,
      madeBy: "wanspec trace record \(version), \(day)", sampling: sampling,
      vocabularySize: model.vocabulary.size, endTokens: model.endTokens,
      candidates: candidates, texts: finished.withLock { $0 })
  }

  private func record(
    _ prompt: PromptRecord, _ node: ControllerNode, _ target: any TargetModel & DraftModel,
    _ draft: any DraftModel,
    number: UInt64
  ) async throws -> Recording.Text? {
    let tokens = try target.promptTokens(prompt.prompt, system: nil, raw: false)
    let stream = await node.generate(
      GenerationRequest(
        prompt: tokens, sampling: sampling, maxTokens: maxTokens, speculation: Autopilot.localSettings))
    var answer: [TokenID] = []
    for try await case .tokens(let new, _, _) in stream { answer += new.map(\.token) }
    guard !answer.isEmpty else { return nil }
    // A session of its own, numbered from the top so that it is none of the node's.
    let session = SessionID(.max - 1 - number)
    let targetViews = try await Self.read(
      answer, after: tokens, with: target, candidates: 2, sampling: sampling, session: session)
    let draftViews = try await Self.read(
      answer, after: tokens, with: draft, candidates: candidates, sampling: sampling, session: session)
    let positions = answer.indices.map { index in
      let best = targetViews[index].candidates
      let chosen = best.first { $0.token == answer[index] }?.probability ?? best[0].probability
      let gap =
        best.count > 1 ? log(best[0].probability / max(best[1].probability, .leastNormalMagnitude)) : 100
      return Recording.Position(
        target: answer[index], probability: chosen, gap: min(max(0, gap), 100),
        draft: Distribution(
          entropy: draftViews[index].entropy,
          candidates: draftViews[index].candidates.filter { $0.probability >= Self.leastProbability }))
    }
    return Recording.Text(id: prompt.id, task: prompt.task, prompt: tokens, positions: positions)
  }

  /// What a model says before each token of an answer.
  package static func read(
    _ answer: [TokenID], after prompt: [TokenID], with engine: any DraftModel, candidates: Int,
    sampling: SamplingSettings, session: SessionID
  ) async throws -> [Distribution] {
    var views: [Distribution] = []
    while views.count < answer.count {
      let start = views.count
      let end = min(start + chunk, answer.count)
      let requests = (start..<end).map { position in
        ExpansionRequest(
          session: session, prefix: prompt + answer[..<start], path: Array(answer[start..<position]),
          sampling: sampling, candidates: candidates)
      }
      views += try await engine.expand(requests).results
    }
    await engine.release(session)
    return views
  }
}
