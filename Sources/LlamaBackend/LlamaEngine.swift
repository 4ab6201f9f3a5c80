import CLlama
import ModelBackend
import SpeculationCore
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// llama.cpp in this process, as a target and as a draft.
///
/// One pass is one batched decode over all its sessions (more only when it exceeds the batch size). What is
/// cached is found by comparing a request with the session's cache, so requests carry their whole text and no
/// call depends on another having succeeded. The actor runs on a thread of its own, which may be pinned.
public actor LlamaEngine {
  public nonisolated let model: ModelDescription
  public nonisolated let tokenizer: any Tokenizer
  public nonisolated let weights: LlamaModel
  nonisolated let thread: EngineThread
  nonisolated let stop: StopFlag

  let options: LlamaOptions
  private var opened: LlamaContext?
  private nonisolated let cellCount = Atomic<Int>(0)
  var sessions: [SessionID: SessionCache] = [:]
  /// Trunks of released sessions, one sequence each; the one of use the longest time ago first.
  var retained: [SessionCache] = []
  var segments = SharedSegments()
  var freeSequences: [Int32] = []
  var pass: UInt64 = 0
  /// Tokens of prefixes that were taken from the cache of another session so far.
  var reusedTokens: UInt64 = 0
  /// For checks of what a failed pass leaves behind: called after each decode of a pass, with its number.
  var afterDecode: (@Sendable (Int) throws -> Void)?
  let scratch = LogitScratch()
  var grammars = SessionGrammars()

  public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  private init(
    weights: LlamaModel, thread: EngineThread, options: LlamaOptions, contextLength: Int, stop: StopFlag
  ) {
    self.weights = weights
    self.stop = stop
    self.thread = thread
    self.options = options
    tokenizer = LlamaTokenizer(model: weights, template: options.chatTemplate)
    model = weights.describe(contextLength: contextLength)
  }

  /// Loads a model file and opens a context for it. A task that is cancelled stops loading.
  ///
  /// - Throws: `ModelError` that says what is wrong with the file or the options, and what to do; `CancellationError`
  public static func load(path: String, options: LlamaOptions = LlamaOptions()) async throws -> LlamaEngine {
    if let problem = options.problem { throw ModelError(.invalidRequest, problem, hint: nil) }
    let thread: EngineThread
    do {
      thread = try EngineThread(
        name: "wanspec-engine", cores: options.cores)
    } catch {
      throw ModelError(.invalidRequest, error.message, hint: "choose other cores, or none")
    }
    let stop = StopFlag()
    // On the engine's own thread: memory is then first touched by the core that will read it.
    let weights = try await withTaskCancellationHandler {
      try await thread.run {
        try pinned(to: options.cores) { try LlamaModel(path: path, options: options, stop: stop) }
      }
    } onCancel: {
      stop.set()
    }
    try Task.checkCancellation()
    let trained = weights.trainedContextLength
    if options.contextLength > trained {
      throw ModelError(
        .invalidRequest,
        "a context of \(options.contextLength) tokens is more than \(path) was trained for (\(trained))",
        hint: "ask for \(trained) or fewer")
    }
    let length = options.contextLength > 0 ? options.contextLength : min(trained, 4096)
    if options.cacheTokens > 0 && options.cacheTokens < length {
      throw ModelError(
        .invalidRequest,
        "a cache of \(options.cacheTokens) tokens has no room for one session with a context of \(length)",
        hint: "raise the cache tokens or lower the context length")
    }
    let engine = LlamaEngine(
      weights: weights, thread: thread, options: options, contextLength: length, stop: stop)
    // One that somebody named is wrong now, not with the first conversation.
    if let template = options.chatTemplate {
      try LlamaTokenizer(model: weights, template: template).checkTemplate()
    }
    try await engine.open()
    return engine
  }

  private func open() throws {
    let cells =
      options.cacheTokens > 0
      ? options.cacheTokens : options.sessions * (model.contextLength + options.treeNodes)
    let context = try LlamaContext(model: weights, options: options, cells: cells, stop: stop)
    cellCount.store(context.cells, ordering: .relaxed)
    opened = context
    freeSequences = (0..<Int32(options.sequences)).reversed()
  }

  public nonisolated var capabilities: EngineCapabilities {
    EngineCapabilities(
      drafts: .trees, sampling: .keyed, isDeterministic: options.attendsInOrder && LlamaSystem.sumsAlike,
      margins: true, logprobs: true, grammars: true)
  }

  /// The handles are freed with the last reference to the engine.
  public nonisolated func shutDown() { stop.set() }

  /// The library's globals must not go while it computes.
  public func settle() {}

  /// Threads that compute.
  public var threads: Int { opened?.threads ?? 0 }

  func context() throws -> LlamaContext {
    guard let opened, !stop.isSet else { throw ModelError(.cancelled, "the engine was shut down", hint: nil) }
    return opened
  }

  public nonisolated var cacheCapacity: CacheCapacity {
    CacheCapacity(
      tokens: cellCount.load(ordering: .relaxed), branches: options.sequences,
      sharesPrefixes: options.sharesPrefixes)
  }

  /// Forget a session. Its committed text stays cached for a later session that begins alike while nobody needs
  /// the room; its guesses are freed. Unknown sessions are ignored.
  public func release(_ session: SessionID) {
    grammars.release(session)
    guard let cache = sessions.removeValue(forKey: session), let opened else { return }
    retain(cache, opened)
  }

  /// Forget a session and all that was cached for it, for what is not worth keeping: measurements.
  public func discard(_ session: SessionID) {
    guard let cache = sessions.removeValue(forKey: session), let opened else { return }
    free(cache, opened)
  }

  /// For checks: see `LlamaContext.fault`.
  package func setFault(_ fault: (@Sendable (TokenID, Int) -> (TokenID, Int))?) { opened?.fault = fault }

  package func setAfterDecode(_ check: (@Sendable (Int) throws -> Void)?) { afterDecode = check }
}

/// Processors that are online.
func processorCount() -> Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
