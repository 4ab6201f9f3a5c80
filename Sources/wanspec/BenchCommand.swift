import ArgumentParser
import Foundation
import NodeRuntime
import Serving
import SpeculationCore

struct BenchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure modes and round-trip times against each other on a prompt file.",
    discussion: """
      Runs every prompt through every configuration in turn, in one process, so that all meet the same \
      machine; ratios between rows are what counts. The worker and the emulated link are processes of their \
      own on loopback. Local modes draft on the worker's cores (--worker-cpus), as if home had a second \
      accelerator. Every text is compared with the plain one, token by token; a text that parts where the \
      target's best two tokens were within \(TextComparison.nearTieMargin) logits is a near-tie and reported \
      as such, with its gap. What an earlier run left in a cache counts for none: every run of a prompt \
      begins cold, or as --cache says.

      The prompt file holds one JSON object a line: {"id": "...", "task": "...", "prompt": "..."}.

      Rows are written as they are finished (--json, --json-file), so an interrupted run keeps what it has. \
      Exit code 0 when every text is the same, 3 when one differs.

      Example:
        wanspec bench --prompts prompts.jsonl --limit 24 --max-tokens 96 --cpus 0 --worker-cpus 1 \\
          --rtt 0ms --rtt 30ms --rtt 100ms --json-file results.jsonl
      """)

  @Option(help: ArgumentHelp("Prompts, JSON lines. (env: WANSPEC_PROMPTS)", valueName: "file"))
  var prompts: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Prompts at most, spread over the tasks; 0: all. (env: WANSPEC_LIMIT; default: 24)", valueName: "n"))
  var limit: Int?

  @Option(
    name: .customLong("max-tokens"), parsing: .unconditional,
    help: ArgumentHelp(
      "Tokens to generate for each prompt. (env: WANSPEC_MAX_TOKENS; default: 96)", valueName: "n"))
  var maxTokens: Int?

  @Option(
    help: ArgumentHelp(
      "Modes, separated by commas: plain, local-sequential, local-parallel, wan. (env: WANSPEC_MODES; default: all)",
      valueName: "modes"),
    transform: ModeList.init(parsing:))
  var modes: ModeList?

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "A round-trip time for wan mode; may be repeated. (env: WANSPEC_RTT, separated by spaces; default: 0ms 30ms 100ms)",
      valueName: "duration"),
    transform: DurationArgument.init(parsing:))
  var rtt: [DurationArgument] = []

  @Option(
    name: .customLong("draft-lengths"), parsing: .unconditional,
    help: ArgumentHelp(
      "Lengths for local-sequential, separated by commas. (env: WANSPEC_DRAFT_LENGTHS; default: 5)",
      valueName: "lengths"),
    transform: LengthList.init(parsing:))
  var draftLengths: LengthList?

  @Option(
    help: ArgumentHelp(
      "When to draft at home in wan mode: never, always, entropy:NATS or value:TIME; may be repeated. (env: WANSPEC_POLICY; default: never)",
      valueName: "policy"),
    transform: HomePolicyArgument.init(parsing:))
  var policy: [HomePolicyArgument] = []

  @Option(
    name: .customLong("verify-width"), parsing: .unconditional,
    help: ArgumentHelp(
      "Guesses in one target pass at most, in wan and local-parallel mode. (env: WANSPEC_VERIFY_WIDTH; default: the autopilot's)",
      valueName: "nodes"))
  var verifyWidth: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "In wan and local-parallel mode, guesses in a row that are taken from the text itself; 0: none. (env: WANSPEC_LOOKUP; default: the autopilot's)",
      valueName: "tokens"))
  var lookup: Int?

  @Option(
    name: .customLong("min-gain"), parsing: .unconditional,
    help: ArgumentHelp(
      "In wan and local-parallel mode, pause drafting while it gains less than this against plain; 0: never. (env: WANSPEC_MIN_GAIN; default: the autopilot's)",
      valueName: "ratio"))
  var minGain: Double?

  @OptionGroup var choosing: AutopilotOption

  @Option(
    help: ArgumentHelp(
      "What every run of a prompt finds in the caches: cold, nothing at either end; warm, the prompt at both; worker-cold, the prompt at the target alone, as after a handover. (env: WANSPEC_CACHE_STATE; default: cold)",
      valueName: "state"))
  var cache: BenchmarkCache?

  @Flag(help: "Short for --cache warm.")
  var warm = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "How often to run every prompt through every configuration; the slowest prompt is then told by medians. (env: WANSPEC_REPEATS; default: 1)",
      valueName: "n"))
  var repeats: Int?

  @Option(help: ArgumentHelp("Target model. (env: WANSPEC_TARGET)", valueName: "model"))
  var target: String?

  @Option(help: ArgumentHelp("Draft model. (env: WANSPEC_DRAFT)", valueName: "model"))
  var draft: String?

  @Option(
    help: ArgumentHelp("Cores to pin the target to. (env: WANSPEC_CPUS)", valueName: "cores"),
    transform: CoreList.init(parsing:))
  var cpus: CoreList?

  @Option(
    name: .customLong("worker-cpus"),
    help: ArgumentHelp("Cores to pin the draft models to. (env: WANSPEC_WORKER_CPUS)", valueName: "cores"),
    transform: CoreList.init(parsing:))
  var workerCPUs: CoreList?

  @Option(
    name: .customLong("worker-argument"), parsing: .unconditionalSingleValue,
    help: ArgumentHelp("One more argument for `wanspec worker`; may be repeated.", valueName: "argument"))
  var workerArgument: [String] = []

  @Flag(
    help:
      "Then simulate the same configurations on the same texts, and print both side by side. (env: WANSPEC_PREDICT)"
  )
  var predict = false

  @OptionGroup(title: "Sampling") var sampling: SamplingOptions
  @OptionGroup(title: "Engine") var engine: EngineOptions

  @Flag(
    help: "One JSON object a line on standard output: every row, then every summary. (env: WANSPEC_JSON)")
  var json = false

  @Option(
    name: .customLong("json-file"),
    help: ArgumentHelp("Write those lines to a file too. (env: WANSPEC_JSON_FILE)", valueName: "file"))
  var jsonFile: String?

  mutating func validate() throws {
    let twins = EnvironmentTwins()
    target = try twins("WANSPEC_TARGET", target) ?? DefaultModels.target
    draft = try twins("WANSPEC_DRAFT", draft) ?? DefaultModels.draft
    cpus = try twins("WANSPEC_CPUS", cpus)
    workerCPUs = try twins("WANSPEC_WORKER_CPUS", workerCPUs)
    prompts = try twins("WANSPEC_PROMPTS", prompts)
    limit = try twins("WANSPEC_LIMIT", limit) ?? 24
    maxTokens = try twins("WANSPEC_MAX_TOKENS", maxTokens) ?? 96
    modes = try twins("WANSPEC_MODES", modes) ?? ModeList(GenerationMode.allCases)
    rtt = try twins("WANSPEC_RTT", rtt)
    draftLengths = try twins("WANSPEC_DRAFT_LENGTHS", draftLengths) ?? LengthList([5])
    policy = try twins("WANSPEC_POLICY", policy)
    verifyWidth = try twins("WANSPEC_VERIFY_WIDTH", verifyWidth)
    minGain = try twins("WANSPEC_MIN_GAIN", minGain)
    lookup = try twins("WANSPEC_LOOKUP", lookup)
    if warm, let cache, cache != .warm {
      throw ValidationError("--warm and --cache \(cache.rawValue) contradict each other.")
    }
    cache = try warm ? .warm : twins("WANSPEC_CACHE_STATE", cache) ?? .cold
    repeats = try twins("WANSPEC_REPEATS", repeats) ?? 1
    json = try twins("WANSPEC_JSON", json)
    predict = try twins("WANSPEC_PREDICT", predict)
    jsonFile = try twins("WANSPEC_JSON_FILE", jsonFile)
    if prompts == nil { throw ValidationError("Give a prompt file: --prompts FILE.") }
    if rtt.isEmpty { rtt = [0, 30, 100].map { DurationArgument(nanoseconds: $0 * 1_000_000) } }
    if policy.isEmpty { policy = [HomePolicyArgument(.never)] }
    if limit! < 0 { throw ValidationError("--limit must be 0 (all) or more, not \(limit!).") }
    if !(2...100_000).contains(maxTokens!) {
      throw ValidationError("--max-tokens must be between 2 and 100000, not \(maxTokens!).")
    }
    if !(1...100).contains(repeats!) {
      throw ValidationError("--repeats must be between 1 and 100, not \(repeats!).")
    }
    try SpeculationOptions.check(verifyWidth: verifyWidth, lookup: lookup, minGain: minGain)
    if predict && !modes!.modes.contains(.plain) {
      throw ValidationError("--predict needs the mode plain: it scales the measured pass times.")
    }
    if predict && !workerArgument.isEmpty {
      throw ValidationError(
        "--predict simulates a worker with its default settings; leave out --worker-argument.")
    }
    if let long = rtt.first(where: { $0.milliseconds > 60_000 }) {
      throw ValidationError("--rtt must be at most 60s, not \(long).")
    }
  }

  private var byHand: SpeculationByHand {
    SpeculationByHand(
      usesAutopilot: choosing.autopilot, verifyWidth: verifyWidth, lookup: lookup, minGain: minGain)
  }

  var configurations: [BenchmarkConfiguration] {
    var result: [BenchmarkConfiguration] = []
    var byHand = self.byHand
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
      target: target!, draft: draft!, engine: engine, cores: cpus, workerCores: workerCPUs,
      workerArguments: workerArgument, configurations: configurations, cache: self.cache!, predicts: predict)
    if let note = byHand.note { StandardError.write("wanspec: \(note)\n") }
    let file = try jsonFile.map(JSONLineFile.init)
    let (json, cache) = (self.json, self.cache!)
    let progress = BenchmarkProgress(isShown: !json)
    let outcome = try await session.run(
      prompts: chosen, repeats: repeats!, maxTokens: maxTokens!, sampling: sampling.settings
    ) { event in
      progress.report(event)
      guard case .finished(let row) = event else { return }
      var object = row.object
      object["cache"] = cache.rawValue
      try file?.append(object)
      if json { JSONLine.print(object) }
    }
    progress.finish()
    let summaries = BenchmarkSummary.summarize(outcome.rows, configurations)
    for summary in summaries {
      var object = summary.object(among: summaries)
      object["cache"] = cache.rawValue
      try file?.append(object)
      if json { JSONLine.print(object) }
    }
    for object in outcome.prediction?.objects ?? [] {
      try file?.append(object)
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
struct LengthList: TextArgument, CustomStringConvertible {
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
