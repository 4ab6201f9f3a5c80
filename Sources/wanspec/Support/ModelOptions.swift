import ArgumentParser
import CommandSettings
import Console
import ModelBackend
import SpeculationCore

/// Options of the engine that are the same for every model.
struct EngineOptions: ParsableArguments {
  @Option(Settings.context) var context: Int?

  @Option(Settings.threads) var threads: Int?

  @Option(Settings.gpuLayers) var gpuLayers: Int?

  @Option(Settings.cacheType) var cacheType: CacheType?

  mutating func validate() throws {
    context = try Settings.context.resolve(context)
    threads = try Settings.threads.resolve(threads)
    gpuLayers = try Settings.gpuLayers.resolve(gpuLayers)
    cacheType = try Settings.cacheType.resolve(cacheType)
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

/// A target and its draft, both by name or file.
struct ModelPairOptions: ParsableArguments {
  @Option(Settings.target) var target: String?

  @Option(Settings.draft) var draft: String?

  mutating func validate() throws {
    target = try Settings.target.resolve(target)
    draft = try Settings.draft.resolve(draft)
  }
}

/// Where the two of a pair compute when both are measured.
struct PairCoreOptions: ParsableArguments {
  @Option(Settings.cpus) var cpus: CoreList?

  @Option(Settings.workerCPUs) var workerCPUs: CoreList?

  mutating func validate() throws {
    cpus = try Settings.cpus.resolve(cpus)
    workerCPUs = try Settings.workerCPUs.resolve(workerCPUs)
  }
}

/// Where the models beside a controller compute.
struct CoreOptions: ParsableArguments {
  @Option(Settings.cpus) var cpus: CoreList?

  @Option(Settings.draftCPUs) var draftCPUs: CoreList?

  mutating func validate() throws {
    cpus = try Settings.cpus.resolve(cpus)
    draftCPUs = try Settings.draftCPUs.resolve(draftCPUs)
  }
}

/// `--json`, for commands whose other options have no variables.
struct JSONOption: ParsableArguments {
  @Flag(Settings.json) var json = false

  mutating func validate() throws { json = try Settings.json.resolve(json) }
}

struct SamplingOptions: ParsableArguments {
  @Option(Settings.temperature) var temperature: Float?

  @Option(Settings.topK) var topK: Int32?

  @Option(Settings.topP) var topP: Float?

  @Option(Settings.minP) var minP: Float?

  @Option(Settings.seed) var seed: UInt64?

  var settings = SamplingSettings.greedy

  enum CodingKeys: CodingKey { case temperature, topK, topP, minP, seed }

  mutating func validate() throws {
    settings = SamplingSettings(
      temperature: try Settings.temperature.value(temperature), topK: try Settings.topK.value(topK),
      topP: try Settings.topP.value(topP), minP: try Settings.minP.value(minP),
      seed: try Settings.seed.value(seed))
    if let problem = settings.problem { throw ValidationError(problem + ".") }
  }
}

/// The models that commands use when none is named.
enum DefaultModels {
  static let target = "qwen2.5-coder-1.5b-instruct-bf16"
  static let draft = "qwen2.5-coder-0.5b-instruct"
}
