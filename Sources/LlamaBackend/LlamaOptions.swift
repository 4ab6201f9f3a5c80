import ModelBackend

/// How a model is loaded and run.
public struct LlamaOptions: Sendable {
  /// Tokens that one session may hold, guesses apart. 0 takes what the model was trained for, at most 4,096.
  public var contextLength: Int
  /// Sessions that find room at the same time, each with a full context, unless `cacheTokens` says how much
  /// room there is. More may be open while they are shorter: cells are shared by all.
  public var sessions: Int
  /// Tokens that the cache holds over all sessions, guesses included. 0 takes `sessions` times the context and
  /// the tree. At least one context.
  public var cacheTokens: Int
  public var cacheType: CacheType
  /// Take what a session's text has in common with another's, open or released, from the cache instead of
  /// computing it, and keep released sessions for that while nobody needs their room.
  public var sharesPrefixes: Bool
  /// Guessed tokens that one session may have in the cache beyond its context.
  public var treeNodes: Int
  /// Leaves of token trees, over all sessions, that the cache can tell apart (llama.cpp's sequences). At
  /// most 256, the library's limit; each costs one row of logits in memory.
  public var sequences: Int
  /// Threads that compute. 0 takes one for each core in `cores`, or half the machine's when that is empty.
  public var threads: Int
  /// Processor cores the engine is pinned to; empty lets the system place it.
  public var cores: [Int]
  /// How much the engine's threads give way to others. A draft engine that shares its machine gives way to
  /// whatever handles its results. Only where a thread has a priority of its own (Linux).
  public var priority: EnginePriority
  /// Layers to place on a GPU; negative: all. Without a GPU in the build it has no effect.
  public var gpuLayers: Int
  /// Map the file instead of reading it.
  public var memoryMap: Bool
  /// A chat template (Jinja) instead of the model's own.
  public var chatTemplate: String?
  /// Called on the engine's thread while the model loads, with 0...1.
  public var progress: (@Sendable (Float) -> Void)?

  public init(
    contextLength: Int = 0, sessions: Int = 1, cacheTokens: Int = 0,
    cacheType: CacheType = .f16, sharesPrefixes: Bool = true,
    treeNodes: Int = 128, sequences: Int = 64, threads: Int = 0, cores: [Int] = [],
    priority: EnginePriority = .ordinary, gpuLayers: Int = -1, memoryMap: Bool = true,
    chatTemplate: String? = nil, progress: (@Sendable (Float) -> Void)? = nil
  ) {
    self.contextLength = contextLength
    self.sessions = sessions
    self.cacheTokens = cacheTokens
    self.cacheType = cacheType
    self.sharesPrefixes = sharesPrefixes
    self.treeNodes = treeNodes
    self.sequences = sequences
    self.threads = threads
    self.cores = cores
    self.priority = priority
    self.gpuLayers = gpuLayers
    self.memoryMap = memoryMap
    self.chatTemplate = chatTemplate
    self.progress = progress
  }

  /// The first thing wrong with these options, as a sentence; nil when they are valid.
  public var problem: String? {
    if contextLength < 0 || contextLength > 1 << 22 {
      return "context length must be 0 (the model's own) to 4194304 tokens, not \(contextLength)"
    }
    if sessions < 1 || sessions > 256 { return "sessions must be 1 to 256, not \(sessions)" }
    if cacheTokens < 0 || cacheTokens > 1 << 26 {
      return "cache tokens must be 0 (a full context for each session) to 67108864, not \(cacheTokens)"
    }
    if treeNodes < 1 || treeNodes > 65_536 { return "tree nodes must be 1 to 65536, not \(treeNodes)" }
    if sequences < 1 || sequences > 256 { return "sequences must be 1 to 256, not \(sequences)" }
    if sequences < sessions {
      return "sequences (\(sequences)) must be at least as many as sessions (\(sessions))"
    }
    if threads < 0 || threads > 512 { return "threads must be 0 (automatic) to 512, not \(threads)" }
    if let core = cores.first(where: { $0 < 0 }) { return "core numbers start at 0, so \(core) is not one" }
    if case .nice(let value) = priority, !(0...19).contains(value) {
      return "niceness must be 0 to 19, not \(value)"
    }
    return nil
  }
}
