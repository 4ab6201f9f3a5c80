import ArgumentParser
import Benchmarking
import CommandSettings
import Console
import Foundation
import NodeRuntime
import OutputFiles
import Serving
import SpeculationCore

struct BenchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure modes and round-trip times against each other on a prompt file.",
    discussion: """
      Runs every prompt through every configuration in turn, in one process, so that all meet the same \
      machine; ratios between rows are what counts. The worker and the emulated link are processes of their \
      own on loopback. Local modes draft on the worker's cores (--worker-cpus), as if its own site had a second \
      accelerator. Every text is compared with the plain one, token by token; a text that parts where the \
      target's best two tokens were within \(SessionMachine.Verdict.nearTieMargin) logits is a near-tie and reported \
      as such, with its gap. What an earlier run left in a cache counts for none: every run of a prompt \
      begins cold, or as --cache says.

      The prompt file holds one JSON object a line: {"id": "...", "task": "...", "prompt": "..."}.

      Rows are written as they are finished (--json, --json-file), so an interrupted run keeps what it has. \
      Exit code 0 when every text is the same, 3 when one differs.

      Example:
        wanspec bench --prompts prompts.jsonl --limit 24 --max-tokens 96 --cpus 0 --worker-cpus 1 \\
          --rtt 0ms --rtt 30ms --rtt 100ms --json-file results.jsonl
      """)

  @Option(Settings.prompts) var prompts: String?

  @Option(Settings.benchLimit) var limit: Int?

  @Option(Settings.benchTokens) var maxTokens: Int?

  @Option(Settings.modes) var modes: ModeList?

  @Option(Settings.roundTrips) var rtt: [DurationArgument] = []

  @Option(Settings.draftLengths) var draftLengths: LengthList?

  @Option(Settings.policies) var policy: [LocalPolicyArgument] = []

  @OptionGroup var tuning: TuningOptions

  @Option(Settings.cache) var cache: BenchmarkCache?

  @Flag(help: "Short for --cache warm.")
  var warm = false

  @Option(Settings.repeats) var repeats: Int?

  @OptionGroup var models: ModelPairOptions
  @OptionGroup var cores: PairCoreOptions

  @Option(
    name: .customLong("worker-argument"), parsing: .unconditionalSingleValue,
    help: ArgumentHelp("One more argument for `wanspec worker`; may be repeated.", valueName: "argument"))
  var workerArgument: [String] = []

  @Flag(Settings.predict) var predict = false

  @OptionGroup(title: "Sampling") var sampling: SamplingOptions
  @OptionGroup(title: "Engine") var engine: EngineOptions

  @Flag(Settings.json) var json = false

  @Option(Settings.jsonFile) var jsonFile: String?

  mutating func validate() throws {
    prompts = try Settings.prompts.resolve(prompts)
    limit = try Settings.benchLimit.resolve(limit)
    maxTokens = try Settings.benchTokens.resolve(maxTokens)
    modes = try Settings.modes.resolve(modes)
    rtt = try Settings.roundTrips.resolve(rtt)
    draftLengths = try Settings.draftLengths.resolve(draftLengths)
    policy = try Settings.policies.resolve(policy)
    if warm, let cache, cache != .warm {
      throw ValidationError("--warm and --cache \(cache.rawValue) contradict each other.")
    }
    cache = try Settings.cache.resolve(warm ? .warm : cache)
    repeats = try Settings.repeats.resolve(repeats)
    predict = try Settings.predict.resolve(predict)
    json = try Settings.json.resolve(json)
    jsonFile = try Settings.jsonFile.resolve(jsonFile)
    if prompts == nil { throw ValidationError("Give a prompt file: --prompts FILE.") }
    if predict && !modes!.modes.contains(.plain) {
      throw ValidationError("--predict needs the mode plain: it scales the measured pass times.")
    }
    if predict && !workerArgument.isEmpty {
      throw ValidationError(
        "--predict simulates a worker with its default settings; leave out --worker-argument.")
    }
  }

  var configurations: [BenchmarkConfiguration] {
    var result: [BenchmarkConfiguration] = []
    var byHand = tuning.byHand
    for mode in modes!.modes {
      switch mode {
      case .plain, .localParallel:
        result.append(BenchmarkConfiguration(name: mode.rawValue, mode: mode, byHand: byHand))
      case .localSequential:
        for length in draftLengths!.lengths {
          byHand.draftLength = length
          result.append(
            BenchmarkConfiguration(name: "\(mode.rawValue) k=\(length)", mode: mode, byHand: byHand))
        }
      case .wan:
        for policy in policy {
          byHand.policy = policy.policy
          for rtt in rtt {
            let suffix = policy.policy == .never ? "" : " \(policy)"
            result.append(
              BenchmarkConfiguration(
                name: "wan \(rtt)\(suffix)", mode: mode, roundTrip: rtt.duration, byHand: byHand))
          }
        }
      }
    }
    return result
  }

  func run() async throws {
    let all = try PromptFile.read(prompts!)
    let chosen = limit == 0 ? all : PromptFile.spread(all, limit: limit!)
    let configurations = self.configurations
    let session = try BenchmarkSession(
      target: models.target!, draft: models.draft!, engine: engine, cores: cores.cpus,
      workerCores: cores.workerCPUs,
      workerArguments: workerArgument, configurations: configurations, cache: self.cache!, predicts: predict)
    if let note = tuning.byHand.note { StandardError.write("wanspec: \(note)\n") }
    let file = try jsonFile.map { try LineFile($0, .empty) }
    let (json, cache) = (self.json, self.cache!)
    let progress = BenchmarkProgress(isShown: !json)
    let outcome = try await session.run(
      prompts: chosen, repeats: repeats!, maxTokens: maxTokens!, sampling: sampling.settings
    ) { event in
      progress.report(event)
      guard case .finished(let row) = event else { return }
      var object = row.object
      object["cache"] = cache.rawValue
      try file?.append(JSONLine.data(object))
      if json { JSONLine.print(object) }
    }
    progress.finish()
    let summaries = BenchmarkSummary.summarize(outcome.rows, configurations)
    for summary in summaries {
      var object = summary.object(among: summaries)
      object["cache"] = cache.rawValue
      try file?.append(JSONLine.data(object))
      if json { JSONLine.print(object) }
    }
    for object in outcome.prediction?.objects ?? [] {
      try file?.append(JSONLine.data(object))
      if json { JSONLine.print(object) }
    }
    if !json {
      StandardOutput.line(outcome.costs)
      StandardOutput.line(summaries.table().rendered())
      StandardOutput.line(([cache.words] + summaries.footnotes).joined(separator: "\n"))
      if let prediction = outcome.prediction { StandardOutput.line("\n" + prediction.text) }
    }
    if summaries.contains(where: { !$0.differences.isEmpty }) { throw ExitCode(3) }
  }
}

/// "plain,wan".
struct ModeList: TextArgument, CustomStringConvertible {
  var modes: [GenerationMode]
  init(_ modes: [GenerationMode]) { self.modes = modes }
  init(parsing text: String) throws {
    modes = try text.split(separator: ",", omittingEmptySubsequences: false).map { name in
      guard let mode = GenerationMode(rawValue: String(name)) else {
        throw ArgumentProblem(
          "\"\(name)\" is not a mode; the modes are "
            + GenerationMode.allCases.map(\.rawValue).joined(separator: ", "))
      }
      return mode
    }
  }
  var description: String { modes.map(\.rawValue).joined(separator: ",") }
}

/// "3,5,8".
struct LengthList: QuantityArgument, CustomStringConvertible {
  var lengths: [Int]
  init(_ lengths: [Int]) { self.lengths = lengths }
  init(parsing text: String) throws {
    lengths = try text.split(separator: ",", omittingEmptySubsequences: false).map { part in
      guard let length = Int(part), (1...64).contains(length) else {
        throw ArgumentProblem("\"\(part)\" is not a draft length from 1 to 64")
      }
      return length
    }
  }
  var description: String { lengths.map(String.init).joined(separator: ",") }
}
