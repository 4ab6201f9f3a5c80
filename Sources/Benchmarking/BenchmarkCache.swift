import NodeRuntime
import Serving
import SpeculationCore

/// What the caches hold when a configuration of a benchmark begins with a prompt. It is the same for every
/// configuration: what ran before must not matter.
package enum BenchmarkCache: String, CaseIterable, Sendable {
  /// Nothing, anywhere: a server's first request.
  case cold
  /// The prompt, wherever there is a model.
  case warm
  /// The prompt at the target and nothing where drafts are made: a handover, the next turn of a chat, a shared
  /// system prompt.
  case workerCold = "worker-cold"

  /// Whether the target keeps texts of sessions that are over.
  package var targetKeeps: Bool { self != .cold }
  /// Whether draft models do, the local one and the worker's.
  package var draftKeeps: Bool { self == .warm }

  /// For tables.
  package var words: String {
    switch self {
    case .cold: "every run of a prompt began with empty caches at both ends"
    case .warm: "every run of a prompt began with the prompt cached at both ends"
    case .workerCold:
      "every run of a prompt began with the prompt cached at the target and nothing at the worker"
    }
  }
}

extension Benchmark {
  /// A worker that has not answered in so many texts is not waited for.
  private static let warmingTexts = 4

  /// Has the prompt read where it is to be known, before the first configuration that is measured.
  ///
  /// A cold cache needs nothing: such engines forget every session that ends.
  package func fillCaches(_ prompt: PromptRecord, _ tokens: [TokenID]) async throws {
    switch cache {
    case .cold: return
    case .workerCold:
      let plain = BenchmarkConfiguration(name: "warm-up", mode: .plain)
      _ = try await generate(plain, prompt, tokens, limit: 2) { _ in }
    case .warm:
      let modes: Set<GenerationMode> = Set(configurations.map(\.mode))
      if host.local != nil {
        let local = BenchmarkConfiguration(name: "warm-up", mode: .localParallel)
        _ = try await generate(local, prompt, tokens) { _ in }
      } else if !modes.contains(.wan) {
        let plain = BenchmarkConfiguration(name: "warm-up", mode: .plain)
        _ = try await generate(plain, prompt, tokens, limit: 2) { _ in }
      }
      guard modes.contains(.wan) else { return }
      try await rig?.setRoundTrip(.zero)
      let wan = BenchmarkConfiguration(name: "warm-up", mode: .wan)
      // The worker has read the prompt when it answers, which may be after a short text has ended.
      for _ in 0..<Self.warmingTexts {
        let row = try await generate(wan, prompt, tokens) { _ in }
        if row.figures.summary.statistics.workerExpansions > 0 { return }
      }
    }
  }
}
