import Console
import DraftExchange
import ModelBackend
import NodeRuntime
import Serving
import SpeculationCore

/// One way to generate, to be compared with others on the same prompts.
package struct BenchmarkConfiguration: Sendable, Hashable {
  /// Shown in tables.
  package var name: String
  package var mode: GenerationMode
  /// Of the emulated link, in wan mode.
  package var roundTrip: Duration?
  package var byHand = SpeculationByHand()

  package init(
    name: String, mode: GenerationMode, roundTrip: Duration? = nil,
    byHand: SpeculationByHand = SpeculationByHand()
  ) {
    self.name = name
    self.mode = mode
    self.roundTrip = roundTrip
    self.byHand = byHand
  }

  package func settings(hasLocal: Bool) -> SpeculationSettings {
    byHand.settings(for: mode, hasLocal: hasLocal)
  }
}

/// What one configuration made of one prompt.
package struct BenchmarkRow: Sendable {
  package var configuration: BenchmarkConfiguration
  package var prompt: PromptRecord
  package var tokens: [SessionMachine.CommittedToken]
  package var figures: GenerationFigures
  /// Which of the prompt's repeats it is, from 0.
  package var round = 0
  /// Of this process, after the generation.
  package var residentBytes: Int?
  /// nil for the plain run itself.
  package var comparison: TextComparison?

  package var millisecondsPerToken: Double { figures.summary.millisecondsPerToken ?? .nan }
}

/// Whether a text is the plain one.
package enum TextComparison: Sendable, Hashable {
  case same
  /// They part where the target's two best tokens were within rounding of each other: another batch shape
  /// rounds another way. `margin` is the smaller of the two runs' gaps between them, in logits.
  case nearTie(index: Int, margin: Float)
  /// A real difference: a bug.
  case different(index: Int, margin: Float)

  package static func compare(
    _ tokens: [SessionMachine.CommittedToken], plain: [SessionMachine.CommittedToken]
  ) -> TextComparison {
    for (index, reference) in plain.enumerated() {
      if index < tokens.count, tokens[index].token == reference.token { continue }
      // A shorter text ended elsewhere: the end token itself differs, so there is always a pair to look at.
      let margin = min(reference.margin, index < tokens.count ? tokens[index].margin : .infinity)
      return margin < SessionMachine.Verdict.nearTieMargin
        ? .nearTie(index: index, margin: margin) : .different(index: index, margin: margin)
    }
    return tokens.count == plain.count ? .same : .different(index: plain.count, margin: .infinity)
  }
}

/// Runs prompts through configurations in one process, turn by turn, so that all meet the same machine.
package struct Benchmark: Sendable {
  package var host: ControllerHost
  package var rig: LoopbackRig?
  package var prompts: [PromptRecord]
  package var configurations: [BenchmarkConfiguration]
  package var maxTokens: Int
  package var sampling: SamplingSettings
  /// How often each prompt goes through every configuration.
  package var repeats = 1
  /// What a configuration of a prompt finds in the caches.
  package var cache = BenchmarkCache.cold

  package init(
    host: ControllerHost, rig: LoopbackRig? = nil, prompts: [PromptRecord],
    configurations: [BenchmarkConfiguration], maxTokens: Int, sampling: SamplingSettings, repeats: Int = 1,
    cache: BenchmarkCache = .cold
  ) {
    self.host = host
    self.rig = rig
    self.prompts = prompts
    self.configurations = configurations
    self.maxTokens = maxTokens
    self.sampling = sampling
    self.repeats = repeats
    self.cache = cache
  }

  package enum Event: Sendable {
    /// Models are loaded; the first prompt is about to start.
    case ready(any Tokenizer)
    case started(BenchmarkConfiguration, PromptRecord, index: Int, of: Int)
    case tokens([SessionMachine.CommittedToken])
    case finished(BenchmarkRow)
    case warning(String)
  }

  package func run(_ report: @Sendable (Event) throws -> Void) async throws -> [BenchmarkRow] {
    var rows: [BenchmarkRow] = []
    let total = prompts.count * repeats * configurations.count
    // All of them first: one that does not fit must not end a run that has gone on for an hour.
    let promptTokens = try prompts.map { try tokens(of: $0) }
    try await warmUp()
    try report(.ready(host.target.tokenizer))
    for turn in 0..<prompts.count * repeats {
      let prompt = prompts[turn / repeats]
      var plain: [SessionMachine.CommittedToken]?
      try await fillCaches(prompt, promptTokens[turn / repeats])
      // Plain first, since it is the reference; the others begin elsewhere each time, so that no one
      // always follows the same neighbour.
      let others = configurations.filter { $0.mode != .plain }
      let shift = others.isEmpty ? 0 : turn % others.count
      let order = configurations.filter { $0.mode == .plain } + others[shift...] + others[..<shift]
      for configuration in order {
        try report(.started(configuration, prompt, index: rows.count, of: total))
        if let roundTrip = configuration.roundTrip { try await rig?.setRoundTrip(roundTrip) }
        var row = try await generate(configuration, prompt, promptTokens[turn / repeats], report)
        row.round = turn % repeats
        row.residentBytes = ResidentMemory.now()
        if configuration.mode == .plain {
          plain = row.tokens
        } else if let plain {
          row.comparison = TextComparison.compare(row.tokens, plain: plain)
        }
        rows.append(row)
        try report(.finished(row))
      }
    }
    return rows
  }

  private func tokens(of prompt: PromptRecord) throws -> [Int32] {
    do {
      return try host.target.promptTokens(prompt.prompt, system: nil, raw: false)
    } catch {
      let line = prompt.line.map { " (line \($0))" } ?? ""
      throw CommandFailure("prompt \(prompt.id)\(line): \(error)")
    }
  }

  /// The first passes of a process are slower (pages, graphs); nobody's figures should hold them.
  private func warmUp() async throws {
    let prompt = PromptRecord(id: "warm-up", task: "all", prompt: "Hello")
    let hello = try tokens(of: prompt)
    let plain = BenchmarkConfiguration(name: "warm-up", mode: .plain)
    _ = try await generate(plain, prompt, hello, limit: 8) { _ in }
    if host.local != nil {
      let local = BenchmarkConfiguration(name: "warm-up", mode: .localParallel)
      _ = try await generate(local, prompt, hello, limit: 24) { _ in }
    }
  }

  package func generate(
    _ configuration: BenchmarkConfiguration, _ prompt: PromptRecord, _ tokens: [Int32], limit: Int? = nil,
    _ report: @Sendable (Event) throws -> Void
  ) async throws -> BenchmarkRow {
    let before = host.listener?.totalTraffic
    let stream = await host.node.generate(
      GenerationRequest(
        prompt: tokens, sampling: sampling, maxTokens: limit ?? maxTokens,
        speculation: configuration.settings(hasLocal: host.local != nil)))
    var committed: [SessionMachine.CommittedToken] = []
    for try await event in stream {
      switch event {
      case .tokens(let new, _, _):
        committed += new
        try report(.tokens(new))
      case .note(let text): try report(.warning("\(prompt.id), \(configuration.name): \(text)"))
      case .finished(let summary):
        var figures = GenerationFigures(summary: summary)
        if configuration.mode == .wan, let before, let after = host.listener?.totalTraffic {
          figures.networkBytes = after.received + after.sent - before.received - before.sent
          figures.roundTrip = await host.node.roundTrip
        }
        return BenchmarkRow(
          configuration: configuration, prompt: prompt, tokens: committed, figures: figures)
      }
    }
    throw CancellationError()
  }
}
