import DraftExchange
import ModelBackend
import NodeRuntime
import Serving
import SpeculationCore

/// One way to generate, to be compared with others on the same prompts.
struct BenchmarkConfiguration: Sendable, Hashable {
  /// Shown in tables.
  var name: String
  var mode: GenerationMode
  /// Of the emulated link, in wan mode.
  var roundTrip: Duration?
  var byHand = SpeculationByHand()

  func settings(hasHome: Bool) -> SpeculationSettings { byHand.settings(for: mode, hasHome: hasHome) }
}

/// What one configuration made of one prompt.
struct BenchmarkRow: Sendable {
  var configuration: BenchmarkConfiguration
  var prompt: PromptRecord
  var tokens: [SessionMachine.CommittedToken]
  var figures: GenerationFigures
  /// Which of the prompt's repeats it is, from 0.
  var round = 0
  /// Of this process, after the generation.
  var residentBytes: Int?
  /// nil for the plain run itself.
  var comparison: TextComparison?

  var millisecondsPerToken: Double { figures.summary.millisecondsPerToken ?? .nan }
}

/// Whether a text is the plain one.
enum TextComparison: Sendable, Hashable {
  case same
  /// They part where the target's two best tokens were within rounding of each other: another batch shape
  /// rounds another way. `margin` is the smaller of the two runs' gaps between them, in logits.
  case nearTie(index: Int, margin: Float)
  /// A real difference: a bug.
  case different(index: Int, margin: Float)

  /// Gaps below this count as near-ties: bfloat16 keeps 8 bits, so logits around 20 come out of another batch
  /// shape up to about this much apart.
  static let nearTieMargin: Float = 0.1

  static func compare(
    _ tokens: [SessionMachine.CommittedToken], plain: [SessionMachine.CommittedToken]
  ) -> TextComparison {
    for (index, reference) in plain.enumerated() {
      if index < tokens.count, tokens[index].token == reference.token { continue }
      // A shorter text ended elsewhere: the end token itself differs, so there is always a pair to look at.
      let margin = min(reference.margin, index < tokens.count ? tokens[index].margin : .infinity)
      return margin < nearTieMargin
        ? .nearTie(index: index, margin: margin) : .different(index: index, margin: margin)
    }
    return tokens.count == plain.count ? .same : .different(index: plain.count, margin: .infinity)
  }
}

/// Runs prompts through configurations in one process, turn by turn, so that all meet the same machine.
struct Benchmark: Sendable {
  var host: ControllerHost
  var rig: LoopbackRig?
  var prompts: [PromptRecord]
  var configurations: [BenchmarkConfiguration]
  var maxTokens: Int
  var sampling: SamplingSettings
  /// How often each prompt goes through every configuration.
  var repeats = 1
  /// What a configuration of a prompt finds in the caches.
  var cache = BenchmarkCache.cold

  enum Event: Sendable {
    /// Models are loaded; the first prompt is about to start.
    case ready(any Tokenizer)
    case started(BenchmarkConfiguration, PromptRecord, index: Int, of: Int)
    case tokens([SessionMachine.CommittedToken])
    case finished(BenchmarkRow)
    case warning(String)
  }

  func run(_ report: @Sendable (Event) throws -> Void) async throws -> [BenchmarkRow] {
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
    if host.home != nil {
      let local = BenchmarkConfiguration(name: "warm-up", mode: .localParallel)
      _ = try await generate(local, prompt, hello, limit: 24) { _ in }
    }
  }

  func generate(
    _ configuration: BenchmarkConfiguration, _ prompt: PromptRecord, _ tokens: [Int32], limit: Int? = nil,
    _ report: @Sendable (Event) throws -> Void
  ) async throws -> BenchmarkRow {
    let before = host.listener?.totalTraffic
    let stream = await host.node.generate(
      GenerationRequest(
        prompt: tokens, sampling: sampling, maxTokens: limit ?? maxTokens,
        speculation: configuration.settings(hasHome: host.home != nil)))
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
