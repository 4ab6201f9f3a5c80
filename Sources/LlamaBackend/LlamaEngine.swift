import CLlama
import ModelBackend
import SpeculationCore

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
  public nonisolated let tokenizer: LlamaTokenizer
  public nonisolated let weights: LlamaModel
  nonisolated let thread: EngineThread
  nonisolated let stop = StopFlag()

  let options: LlamaOptions
  private var opened: LlamaContext?
  var sessions: [SessionID: SessionCache] = [:]
  private var freeLanes: [Int32] = []
  private var pass: UInt64 = 0
  let scratch = LogitScratch()
  var grammars = SessionGrammars()

  public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  private init(weights: LlamaModel, thread: EngineThread, options: LlamaOptions, contextLength: Int) {
    self.weights = weights
    self.thread = thread
    self.options = options
    tokenizer = LlamaTokenizer(model: weights)
    model = weights.describe(contextLength: contextLength)
  }

  /// Loads a model file and opens a context for it.
  ///
  /// - Throws: `ModelError` that says what is wrong with the file or the options, and what to do.
  public static func load(path: String, options: LlamaOptions = LlamaOptions()) async throws -> LlamaEngine {
    if let problem = options.problem { throw ModelError(.invalidRequest, problem, hint: nil) }
    let thread: EngineThread
    do {
      thread = try EngineThread(
        name: "wanspec-engine", cores: options.cores)
    } catch {
      throw ModelError(.invalidRequest, error.message, hint: "choose other cores, or none")
    }
    // On the engine's own thread: memory is then first touched by the core that will read it.
    let weights = try await thread.run {
      try pinned(to: options.cores) { try LlamaModel(path: path, options: options) }
    }
    let trained = weights.trainedContextLength
    if options.contextLength > trained {
      throw ModelError(
        .invalidRequest,
        "a context of \(options.contextLength) tokens is more than \(path) was trained for (\(trained))",
        hint: "ask for \(trained) or fewer")
    }
    let length = options.contextLength > 0 ? options.contextLength : min(trained, 4096)
    let engine = LlamaEngine(weights: weights, thread: thread, options: options, contextLength: length)
    try await engine.open()
    return engine
  }

  private func open() throws {
    let cells = options.sessions * (model.contextLength + options.treeNodes)
    opened = try LlamaContext(model: weights, options: options, cells: cells, stop: stop)
    freeLanes = (0..<Int32(options.lanes)).reversed()
  }

  /// Makes running and later passes fail with `ModelError.cancelled`. The handles are freed with the last
  /// reference to the engine.
  public nonisolated func shutDown() { stop.set() }

  /// Returns when the passes that were under way are over. After `shutDown`, before the process ends: the
  /// library's globals must not go while it computes.
  public func settle() {}

  /// Threads that compute.
  public var threads: Int { opened?.threads ?? 0 }

  func context() throws -> LlamaContext {
    guard let opened, !stop.isSet else { throw ModelError(.cancelled, "the engine was shut down", hint: nil) }
    return opened
  }

  /// Forget a session and free what was cached for it. Unknown sessions are ignored.
  public func release(_ session: SessionID) {
    grammars.release(session)
    guard let cache = sessions.removeValue(forKey: session), let opened else { return }
    for lane in cache.lanes {
      opened.remove(lane: lane.id, from: 0)
      freeLanes.append(lane.id)
    }
  }
}

// MARK: One pass

extension LlamaEngine {
  /// Runs one pass: evaluates what the works lack in the cache and reads the logits their owners want.
  ///
  /// - Parameters:
  ///   - keepsGuesses: whether cached guesses that the works do not mention stay for a later pass
  ///   - results: how many owners there are
  ///   - read: turns logits into an owner's result; called on the engine's thread
  /// - Returns: a result for each owner, and the number of tokens evaluated.
  /// - Throws: `ModelError`; caches are then as if the pass had not been, or hold less.
  func run<Result>(
    _ works: [SessionWork], keepsGuesses: Bool, results count: Int,
    read: (_ owner: Int, _ position: Int, _ logits: UnsafeBufferPointer<Float>) throws -> Result
  ) throws -> (results: [Result?], tokens: Int) {
    let context = try context()
    pass += 1
    for work in works {
      try check(work)
      align(work, keepsGuesses: keepsGuesses, context)
    }
    let plans = try planAll(works, context)
    var assigned: [[[Int]]] = []
    for (index, work) in works.enumerated() {
      assigned.append(
        sessions[work.session, default: SessionCache()].prepare(
          plans[index], memory: context, acquire: { freeLanes.removeLast() }))
    }
    do {
      let results = try evaluate(works, plans, assigned, context, results: count, read: read)
      for (index, work) in works.enumerated() {
        sessions[work.session]?.enter(plans[index], assigned: assigned[index], pass: pass)
      }
      return (results, plans.reduce(0) { $0 + $1.new.count })
    } catch {
      for work in works { sessions[work.session]?.rollBack(memory: context) }
      throw error
    }
  }

  private func check(_ work: SessionWork) throws {
    if work.prefix.isEmpty {
      throw ModelError(
        .invalidRequest, "\(work.session) has no tokens", hint: "a prompt needs at least one token")
    }
    if work.prefix.count > model.contextLength {
      throw ModelError(
        .contextFull,
        "\(work.session) has \(work.prefix.count) tokens, more than the context of \(model.contextLength)",
        hint: "shorten the prompt or raise the context length")
    }
    let size = TokenID(clamping: weights.vocabularySize)
    for token in [work.prefix, work.tokens].joined() where token < 0 || token >= size {
      throw ModelError(
        .invalidRequest, "token \(token) of \(work.session) is not in the vocabulary of \(size) tokens",
        hint: "target and draft may have different vocabularies")
    }
  }

  /// Brings a session's cache to the work's prefix and frees the nodes whose output is wanted again, since
  /// outputs are not kept.
  private func align(_ work: SessionWork, keepsGuesses: Bool, _ context: LlamaContext) {
    var cache = sessions.removeValue(forKey: work.session) ?? SessionCache()
    cache.align(to: work.prefix, memory: context)
    let rootIsCached = cache.trunk.count == work.prefix.count
    if rootIsCached && (!work.rootOwners.isEmpty || !keepsGuesses) {
      cache.truncate(to: work.prefix.count - (work.rootOwners.isEmpty ? 0 : 1), memory: context)
    } else if !cache.nodes.isEmpty {
      freeWanted(work, &cache, context)
    }
    sessions[work.session] = cache
  }

  private func freeWanted(_ work: SessionWork, _ cache: inout SessionCache, _ context: LlamaContext) {
    // Places of the work's nodes in the cache: -1 the root, nil not cached.
    var places: [Int?] = []
    for index in work.tokens.indices {
      let above: Int? = work.parents[index] < 0 ? -1 : places[work.parents[index]]
      var place = above.flatMap { cache.child(of: $0, token: work.tokens[index]) }
      if let node = place, !work.owners[index].isEmpty {
        cache.removeSubtree(node, memory: context)
        // Freeing renumbers what is left, so the places above are found anew.
        places = []
        place = nil
        for earlier in 0..<index {
          let above: Int? = work.parents[earlier] < 0 ? -1 : places[work.parents[earlier]]
          places.append(above.flatMap { cache.child(of: $0, token: work.tokens[earlier]) })
        }
      }
      places.append(place)
    }
  }

  /// Plans every work, freeing the oldest guesses while lanes or cells are short.
  private func planAll(_ works: [SessionWork], _ context: LlamaContext) throws -> [SessionPlan] {
    while true {
      let plans = works.map { sessions[$0.session, default: SessionCache()].plan($0) }
      let lanes = plans.reduce(0) { $0 + $1.missingLanes }
      let cells = plans.reduce(0) { $0 + $1.new.count }
      let used = sessions.values.reduce(0) { $0 + $1.cells }
      if lanes <= freeLanes.count && used + cells <= context.cells { return plans }
      if lanes > freeLanes.count, reclaimIdleLane(except: Set(works.map(\.session)), context) { continue }
      var protected: [SessionID: Set<Int>] = [:]
      for (index, work) in works.enumerated() { protected[work.session] = plans[index].protected }
      if freeOldestBranch(protected, context) { continue }
      if lanes > freeLanes.count {
        throw ModelError(
          .invalidRequest,
          "the pass needs \(lanes) more branches than the \(options.lanes - freeLanes.count) in use, and the "
            + "engine has \(options.lanes)", hint: "verify a narrower tree, or raise the number of lanes")
      }
      throw ModelError(
        .contextFull,
        "the pass needs \(cells) cells, and \(used) of the \(context.cells) in the cache are in use",
        hint: "raise the context length or the number of sessions")
    }
  }

  /// Takes a lane from a session that does not need it now. The sessions of the running pass have counted
  /// theirs already.
  private func reclaimIdleLane(except busy: Set<SessionID>, _ context: LlamaContext) -> Bool {
    for session in sessions.keys.sorted() where !busy.contains(session) {
      guard let lane = sessions[session]?.idleLanes.last,
        let id = sessions[session]?.lanes.remove(at: lane).id
      else { continue }
      context.remove(lane: id, from: 0)
      freeLanes.append(id)
      return true
    }
    return false
  }

  /// Frees the guesses that were of use the longest time ago.
  private func freeOldestBranch(_ protected: [SessionID: Set<Int>], _ context: LlamaContext) -> Bool {
    var oldest: (session: SessionID, lastUse: UInt64, keep: [Bool])?
    for session in sessions.keys.sorted() {
      guard let branch = sessions[session]?.oldestBranch(protected: protected[session] ?? []) else {
        continue
      }
      if oldest.map({ branch.lastUse < $0.lastUse }) ?? true {
        oldest = (session, branch.lastUse, branch.keep)
      }
    }
    guard let oldest else { return false }
    sessions[oldest.session]?.retain(oldest.keep, memory: context)
    return true
  }

  private func evaluate<Result>(
    _ works: [SessionWork], _ plans: [SessionPlan], _ assigned: [[[Int]]], _ context: LlamaContext,
    results count: Int, read: (Int, Int, UnsafeBufferPointer<Float>) throws -> Result
  ) throws -> [Result?] {
    var results = [Result?](repeating: nil, count: count)
    // Rows of the batch whose logits are wanted, and by whom.
    var wanted: [(row: Int, position: Int, owners: [Int])] = []
    func flush() throws {
      guard context.count > 0 else { return }
      try context.decode()
      for entry in wanted {
        let logits = try context.logits(entry.row)
        for owner in entry.owners { results[owner] = try read(owner, entry.position + 1, logits) }
      }
      wanted.removeAll(keepingCapacity: true)
      context.beginBatch()
    }
    context.beginBatch()
    for (index, work) in works.enumerated() {
      guard let lanes = sessions[work.session]?.lanes.map(\.id) else { continue }
      for (position, new) in plans[index].new.enumerated() {
        let output = !new.owners.isEmpty
        if !context.hasRoom(output: output) { try flush() }
        if output { wanted.append((context.count, new.position, new.owners)) }
        context.append(
          token: new.token, position: new.position, lanes: assigned[index][position].map { lanes[$0] },
          output: output)
      }
    }
    try flush()
    return results
  }
}

/// Processors that are online.
func processorCount() -> Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
