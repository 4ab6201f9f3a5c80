import LlamaBackend
import ModelBackend
import SpeculationCore

/// A model file and how the engine in this program loads it: the one place that names that engine.
struct EnginePlan: Sendable {
  let path: String
  private var options: LlamaOptions

  init(path: String, _ engine: EngineOptions, cores: [Int], sessions: Int, priority: EnginePriority) {
    self.path = path
    options = LlamaOptions(
      contextLength: engine.context ?? 0, sessions: sessions, cacheType: engine.cacheType ?? .f16,
      threads: engine.threads ?? 0, cores: cores, priority: priority, gpuLayers: engine.gpuLayers ?? -1)
  }

  /// Tokens that the cache holds over all sessions; 0 for a full context of each.
  var cacheTokens: Int {
    get { options.cacheTokens }
    set { options.cacheTokens = newValue }
  }

  /// Whether texts of sessions that are over stay cached for others that begin alike.
  var sharesPrefixes: Bool {
    get { options.sharesPrefixes }
    set { options.sharesPrefixes = newValue }
  }

  /// Jinja, instead of the model's own.
  var chatTemplate: String? {
    get { options.chatTemplate }
    set { options.chatTemplate = newValue }
  }

  /// Tokens that a session may have in the cache beyond its context.
  var treeNodes: Int {
    get { options.treeNodes }
    set { options.treeNodes = newValue }
  }

  /// Room for so many leaves of trees over all sessions; the engine tells 256 apart.
  mutating func allow(branches: Int) { options.sequences = min(256, max(options.sequences, branches)) }

  /// - Throws: `ModelError` that says what is wrong with the file or the options
  func load() async throws -> any TargetModel & DraftModel {
    try await LlamaEngine.load(path: path, options: options)
  }
}

extension EngineOptions {
  /// A model that decides.
  ///
  /// - Parameter cores: where the engine's threads are pinned; empty leaves it to the system
  func target(_ path: String, cores: [Int] = [], sessions: Int = 1) -> EnginePlan {
    EnginePlan(path: path, self, cores: cores, sessions: sessions, priority: .ordinary)
  }

  /// A model that drafts: each node of a pass may be a leaf of its own, and the sessions that are not in it keep a
  /// branch each.
  ///
  /// - Parameter passWidth: nodes in one pass at most
  func draft(
    _ path: String, passWidth: Int = Autopilot.limits.passWidth, cores: [Int] = [], sessions: Int = 1,
    priority: EnginePriority = .ordinary
  ) -> EnginePlan {
    var plan = EnginePlan(path: path, self, cores: cores, sessions: sessions, priority: priority)
    plan.allow(branches: passWidth + 2 * sessions)
    return plan
  }
}

/// What the engine in this program offers beside serving models.
enum EmbeddedEngine {
  /// "llama.cpp b1234, AVX2 ..."
  static var description: String {
    "llama.cpp \(LlamaSystem.version), \(LlamaSystem.features.joined(separator: " "))"
  }

  /// What it can compute on: name, kind, description, bytes of memory.
  static var devices: [(name: String, kind: String, description: String, memory: Int)] {
    LlamaSystem.devices.map { ($0.name, $0.kind, $0.description, $0.totalMemory) }
  }

  /// Processor cores that this process may use.
  static var allowedCores: [Int] { LlamaSystem.allowedCores }

  /// Number formats that `convert` writes, largest first.
  static var formats: [String] { LlamaQuantizer.formatNames }

  /// Writes a model in another number format. Takes seconds to minutes.
  static func convert(input: String, output: String, format: String, threads: Int) throws {
    try LlamaQuantizer.quantize(input: input, output: output, format: format, threads: threads)
  }
}
