import ArgumentParser
import Benchmarking
import CommandSettings
import Console
import Foundation
import ModelBackend
import NodeRuntime
import SpeculationCore
import Synchronization

struct DemoCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo",
    abstract: "See it work: worker, link and controller on this machine, then a table.",
    discussion: """
      Starts a worker and an emulated wide-area link as processes of their own on loopback, pins target and \
      worker to a core each, and generates a few answers: by the target alone, with local drafting, and with \
      the draft model 0, 30 and 100 ms away. Nothing leaves this machine, and nothing is left running.

      The models come from `wanspec models pull` (`make demo` does that). Takes under two minutes.
      """)

  @OptionGroup var models: ModelPairOptions

  @Option(
    name: .customLong("max-tokens"), parsing: .unconditional,
    help: ArgumentHelp("Tokens for each answer.", valueName: "n"))
  var maxTokens = 32

  @Option(Settings.color) var color: ColorChoice?

  @Flag(Settings.json) var json = false

  @OptionGroup(title: "Engine") var engine: EngineOptions

  static let prompts = [
    PromptRecord(
      id: "code", task: "code",
      prompt: "Write a Python function that returns the longest common prefix of a list of strings."),
    PromptRecord(
      id: "explain", task: "explain", prompt: "Explain in simple words why the sky is blue."),
    PromptRecord(
      id: "list", task: "list", prompt: "List the planets of the solar system with one fact about each."),
  ]

  /// The one whose text is shown as it comes.
  static let shown = "wan 30 ms"

  mutating func validate() throws {
    color = try Settings.color.resolve(color)
    json = try Settings.json.resolve(json)
    if !(8...1024).contains(maxTokens) {
      throw ValidationError("--max-tokens must be between 8 and 1024, not \(maxTokens).")
    }
  }

  func run() async throws {
    let configurations =
      [
        BenchmarkConfiguration(name: "plain", mode: .plain),
        BenchmarkConfiguration(name: "local sequential", mode: .localSequential),
        BenchmarkConfiguration(name: "local parallel", mode: .localParallel),
      ]
      + [0, 30, 100].map {
        BenchmarkConfiguration(name: "wan \($0) ms", mode: .wan, roundTrip: .milliseconds($0))
      }
    // One core each for target and worker, where there are two.
    let cores = EmbeddedEngine.allowedCores
    let session = try BenchmarkSession(
      target: models.target!, draft: models.draft!, engine: engine,
      cores: cores.count > 1 ? CoreList([cores[0]]) : nil,
      workerCores: cores.count > 1 ? CoreList([cores[1]]) : nil, workerArguments: [],
      configurations: configurations, cache: .cold, predicts: false)
    let display = DemoDisplay(colors: OriginColors(isOn: color!.isOn && !json), isSilent: json)
    display.begin()
    let outcome = try await session.run(
      prompts: Self.prompts, repeats: 1, maxTokens: maxTokens, sampling: .greedy,
      report: { display.report($0) })
    let summaries = BenchmarkSummary.summarize(outcome.rows, configurations)
    if json {
      for summary in summaries {
        var object = summary.object(among: summaries)
        object["cache"] = BenchmarkCache.cold.rawValue
        JSONLine.print(object)
      }
    } else {
      let ties = summaries.footnotes.filter { $0.hasPrefix("near-tie") || $0.hasPrefix("DIFFERENT") }
      StandardOutput.line("\n\(outcome.costs)\n\(summaries.table().rendered())")
      StandardOutput.line((["", BenchmarkCache.cold.words] + ties).joined(separator: "\n"))
    }
    if summaries.contains(where: { !$0.differences.isEmpty }) { throw ExitCode(3) }
  }
}

/// The demo's output: the answer of one configuration as it is decided, a line for each of the others.
private final class DemoDisplay: Sendable {
  private struct State {
    var text: TextStream?
    var current: BenchmarkConfiguration?
  }

  private let state = Mutex(State())
  private let colors: OriginColors
  private let isSilent: Bool

  init(colors: OriginColors, isSilent: Bool) {
    self.colors = colors
    self.isSilent = isSilent
  }

  func begin() {
    write("Loading the models and measuring what a pass costs...\n")
    write(colors.legend("Colours: "))
  }

  func report(_ event: Benchmark.Event) {
    state.withLock { state in
      switch event {
      case .ready(let tokenizer):
        state.text = TextStream(tokenizer)
      case .started(let configuration, let prompt, _, _):
        state.current = configuration
        if configuration.mode == .plain { write("\n> \(prompt.prompt)\n") }
        if configuration.name == DemoCommand.shown { write("\n") }
      case .tokens(let tokens):
        guard state.current?.name == DemoCommand.shown else { return }
        for token in tokens { write(colors.paint(state.text?.append(token.token) ?? "", token.origin)) }
      case .finished(let row):
        if row.configuration.name == DemoCommand.shown { write((state.text?.finish() ?? "") + "\n\n") }
        let name = row.configuration.name
        write(
          "  " + name + String(repeating: " ", count: max(0, 18 - name.count))
            + "\(row.millisecondsPerToken.fixed(1)) ms/token, "
            + "\(row.figures.summary.statistics.tokensPerStep.fixed(2)) tokens/step\n")
      case .warning(let text): write("  note: \(text)\n")
      }
    }
  }

  private func write(_ text: String) { write(StyledText(text)) }

  private func write(_ text: StyledText) {
    if !isSilent { StandardOutput.write(text) }
  }
}
