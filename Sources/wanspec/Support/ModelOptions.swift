import ArgumentParser
import ModelBackend
import SpeculationCore

/// Options of the engine that are the same for every model.
struct EngineOptions: ParsableArguments {
  @Option(
    name: .customLong("context"), parsing: .unconditional,
    help: ArgumentHelp(
      "Tokens a session may hold, prompt included. (env: WANSPEC_CONTEXT; default: 4096 or the model's own)",
      valueName: "tokens"))
  var context: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Compute threads. (env: WANSPEC_THREADS; default: one for each pinned core)", valueName: "n"))
  var threads: Int?

  @Option(
    name: .customLong("gpu-layers"), parsing: .unconditional,
    help: ArgumentHelp(
      "Layers to place on the GPU, if there is one; negative: all. (env: WANSPEC_GPU_LAYERS; default: all)",
      valueName: "n"))
  var gpuLayers: Int?

  @Option(
    name: .customLong("cache-type"),
    help: ArgumentHelp(
      "How keys and values are kept: f16, bf16, q8_0, or f32 without flash attention. (env: WANSPEC_CACHE_TYPE; default: f16)",
      valueName: "type"))
  var cacheType: CacheType?

  mutating func validate() throws {
    let twins = EnvironmentTwins()
    context = try twins("WANSPEC_CONTEXT", context)
    threads = try twins("WANSPEC_THREADS", threads)
    gpuLayers = try twins("WANSPEC_GPU_LAYERS", gpuLayers)
    cacheType = try twins("WANSPEC_CACHE_TYPE", cacheType)
    if let context, !(16...1_048_576).contains(context) {
      throw ValidationError("--context must be between 16 and 1048576 tokens, not \(context).")
    }
    if let threads, !(1...512).contains(threads) {
      throw ValidationError("--threads must be between 1 and 512, not \(threads).")
    }
  }

  /// The same for a child process.
  var arguments: [String] {
    let given: [(flag: String, value: String?)] = [
      ("--context", context.map(String.init)), ("--threads", threads.map(String.init)),
      ("--gpu-layers", gpuLayers.map(String.init)), ("--cache-type", cacheType?.rawValue),
    ]
    return given.flatMap { flag, value in value.map { [flag, $0] } ?? [] }
  }
}

extension CacheType: ExpressibleByArgument {}

/// Where the models beside a controller compute.
struct CoreOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Cores to pin the target to, such as 0 or 0-3. (env: WANSPEC_CPUS)", valueName: "cores"),
    transform: CoreList.init(parsing:))
  var cpus: CoreList?

  @Option(
    name: .customLong("draft-cpus"),
    help: ArgumentHelp("Cores to pin the home draft model to. (env: WANSPEC_DRAFT_CPUS)", valueName: "cores"),
    transform: CoreList.init(parsing:))
  var draftCPUs: CoreList?

  mutating func validate() throws {
    let twins = EnvironmentTwins()
    cpus = try twins("WANSPEC_CPUS", cpus)
    draftCPUs = try twins("WANSPEC_DRAFT_CPUS", draftCPUs)
  }
}

/// `--json`, for commands whose other options have no variables.
struct JSONOption: ParsableArguments {
  @Flag(help: "One JSON object a line instead of text. (env: WANSPEC_JSON)")
  var json = false

  mutating func validate() throws { json = try EnvironmentTwins()("WANSPEC_JSON", json) }
}

struct SamplingOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "0 takes the most likely token. (env: WANSPEC_TEMPERATURE; default: 0)", valueName: "t"))
  var temperature: Float?

  @Option(
    name: .customLong("top-k"), parsing: .unconditional,
    help: ArgumentHelp(
      "Choose among the k likeliest; 0: all. (env: WANSPEC_TOP_K; default: 0)", valueName: "k"))
  var topK: Int32?

  @Option(
    name: .customLong("top-p"), parsing: .unconditional,
    help: ArgumentHelp(
      "Choose among the likeliest that together reach p. (env: WANSPEC_TOP_P; default: 1)", valueName: "p"))
  var topP: Float?

  @Option(
    name: .customLong("min-p"), parsing: .unconditional,
    help: ArgumentHelp(
      "Leave out tokens less likely than p times the best. (env: WANSPEC_MIN_P; default: 0)",
      valueName: "p"))
  var minP: Float?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Same seed, same text. (env: WANSPEC_SEED; default: 0)", valueName: "n"))
  var seed: UInt64?

  var settings = SamplingSettings.greedy

  enum CodingKeys: CodingKey { case temperature, topK, topP, minP, seed }

  mutating func validate() throws {
    let twins = EnvironmentTwins()
    settings = SamplingSettings(
      temperature: try twins("WANSPEC_TEMPERATURE", temperature) ?? 0,
      topK: try twins("WANSPEC_TOP_K", topK) ?? 0, topP: try twins("WANSPEC_TOP_P", topP) ?? 1,
      minP: try twins("WANSPEC_MIN_P", minP) ?? 0, seed: try twins("WANSPEC_SEED", seed) ?? 0)
    if let problem = settings.problem { throw ValidationError(problem + ".") }
  }
}

/// The models that commands use when none is named.
enum DefaultModels {
  static let target = "qwen2.5-coder-1.5b-instruct-bf16"
  static let draft = "qwen2.5-coder-0.5b-instruct"
}
