import ModelBackend
import SpeculationCore

/// What a pass found out.
struct EnginePass<Result> {
  /// A result for each owner; nil for the owners of a work whose prefix is not all evaluated yet.
  var results: [Result?]
  /// Tokens that were evaluated.
  var tokens: Int
  /// For each work, the tokens of its prefix that were taken from another session's cache.
  var reused: [Int]
}

extension LlamaEngine {
  /// Runs one pass: evaluates what the works lack in the cache and reads the logits their owners want.
  ///
  /// - Parameters:
  ///   - keepsGuesses: whether cached guesses that the works do not mention stay for a later pass
  ///   - prefillBudget: tokens of prefixes to evaluate at most, the last one of each work apart
  ///   - results: how many owners there are
  ///   - read: turns logits into an owner's result; called on the engine's thread
  /// - Throws: `ModelError`; caches are then as if the pass had not been, or hold less.
  func run<Result>(
    _ works: [SessionWork], keepsGuesses: Bool, prefillBudget: Int = .max, results count: Int,
    read: (_ owner: Int, _ position: Int, _ logits: UnsafeBufferPointer<Float>) throws -> Result
  ) throws -> EnginePass<Result> {
    let context = try context()
    for work in works { try check(work) }
    pass += 1
    let opened = works.map(\.session).filter { sessions[$0] == nil }
    do {
      let (parts, reused) = admit(works, keepsGuesses: keepsGuesses, prefillBudget, context)
      let plans = try planAll(parts, context)
      var assigned: [[[Int]]] = []
      for (index, work) in parts.enumerated() {
        assigned.append(
          sessions[work.session, default: SessionCache()].prepare(
            plans[index], memory: context, acquire: { freeSequences.removeLast() }))
      }
      let results = try evaluate(parts, plans, assigned, context, results: count, read: read)
      for (index, work) in parts.enumerated() {
        sessions[work.session]?.enter(plans[index], assigned: assigned[index], pass: pass)
      }
      reusedTokens += UInt64(reused.reduce(0, +))
      return EnginePass(
        results: results, tokens: plans.reduce(0) { $0 + $1.new.count }, reused: reused)
    } catch {
      for work in works { sessions[work.session]?.rollBack(memory: context) }
      for session in opened { release(session) }
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
    func check(_ tokens: [TokenID]) throws {
      guard let token = tokens.first(where: { $0 < 0 || $0 >= size }) else { return }
      throw ModelError(
        .invalidRequest, "token \(token) of \(work.session) is not in the vocabulary of \(size) tokens",
        hint: "target and draft may have different vocabularies")
    }
    try check(work.prefix)
    try check(work.tokens)
  }

  /// Brings the caches to the works' prefixes, takes over what other sessions have of them, and cuts off what
  /// is beyond the budget.
  ///
  /// - Returns: what the pass evaluates for each work, and how much each took over.
  private func admit(
    _ works: [SessionWork], keepsGuesses: Bool, _ prefillBudget: Int, _ context: LlamaContext
  ) -> (parts: [SessionWork], reused: [Int]) {
    var parts = works
    var reused = [Int](repeating: 0, count: works.count)
    var budget = max(0, prefillBudget)
    for (index, work) in works.enumerated() {
      align(work, keepsGuesses: keepsGuesses, context)
      if !work.readsAnew, work.prefix.count - cached(work) > LlamaEngine.leastShare {
        reused[index] = takeOver(work, context)
      }
      let missing = max(0, work.prefix.count - cached(work) - 1)
      if let limit = work.readingLimit {
        parts[index].keepPrefix(max(cached(work), min(work.prefix.count - 1, cached(work) + limit)))
        continue
      }
      if missing > budget {
        parts[index].keepPrefix(cached(work) + budget)
        budget = 0
      } else {
        budget -= missing
      }
    }
    return (parts, reused)
  }

  private func cached(_ work: SessionWork) -> Int { sessions[work.session]?.trunk.count ?? 0 }

  /// Brings a session's cache to the work's prefix and frees the nodes whose output is wanted again, since
  /// outputs are not kept.
  private func align(_ work: SessionWork, keepsGuesses: Bool, _ context: LlamaContext) {
    guard var cache = sessions.removeValue(forKey: work.session) else { return }
    cache.align(to: work.prefix, memory: context)
    let rootIsCached = cache.trunk.count == work.prefix.count
    if rootIsCached && (!work.rootOwners.isEmpty || !keepsGuesses) {
      cache.truncate(to: work.prefix.count - (work.rootOwners.isEmpty ? 0 : 1), memory: context)
    } else if !cache.nodes.isEmpty {
      freeWanted(work, &cache, context)
    }
    cache.settle(&segments)
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

  /// Plans every work. While sequences are short, those that are not needed are freed first, then the oldest guesses: a
  /// guess is computed again in a moment, a text of a released session in seconds. Released sessions go before that
  /// where they have most of the sequences, or where it is cells that are short.
  private func planAll(_ works: [SessionWork], _ context: LlamaContext) throws -> [SessionPlan] {
    var plans = works.map { sessions[$0.session, default: SessionCache()].plan($0) }
    let busy = Dictionary(
      works.enumerated().map { ($1.session, $0) }, uniquingKeysWith: { first, _ in first })
    while true {
      let sequences = plans.reduce(0) { $0 + $1.missingSequences }
      let cells = plans.reduce(0) { $0 + $1.new.count }
      let used = usedCells
      if sequences <= freeSequences.count && used + cells <= context.cells { return plans }
      let cellsAreShort = used + cells > context.cells
      if cellsAreShort || 2 * retained.count > options.sequences, freeOldestRetained(context) { continue }
      if sequences > freeSequences.count {
        if reclaimIdleSequence(except: busy.keys, context) { continue }
        if reclaimSurplusSequence(works, &plans, context) { continue }
      }
      let protected = busy.mapValues { plans[$0].protected }
      if let session = freeOldestBranch(protected, context) {
        if let index = busy[session], let cache = sessions[session] {
          plans[index] = cache.plan(works[index])
        }
        continue
      }
      if freeOldestRetained(context) { continue }
      if sequences > freeSequences.count {
        throw ModelError(
          .invalidRequest,
          "the pass needs \(sequences) more branches than the \(options.sequences - freeSequences.count) in use, and the "
            + "engine has \(options.sequences)",
          hint: "verify a narrower tree, or raise the number of sequences")
      }
      throw ModelError(
        .contextFull,
        "the pass needs \(cells) cells, and \(used) of the \(context.cells) in the cache are in use",
        hint: "raise the context length or the number of sessions")
    }
  }

  private func evaluate<Result>(
    _ works: [SessionWork], _ plans: [SessionPlan], _ assigned: [[[Int]]], _ context: LlamaContext,
    results count: Int, read: (Int, Int, UnsafeBufferPointer<Float>) throws -> Result
  ) throws -> [Result?] {
    var results = [Result?](repeating: nil, count: count)
    // Rows of the batch whose logits are wanted, and by whom.
    var wanted: [(row: Int, position: Int, owners: [Int])] = []
    var decodes = 0
    func flush() throws {
      guard context.count > 0 else { return }
      try context.decode()
      decodes += 1
      try afterDecode?(decodes)
      for entry in wanted {
        let logits = try context.logits(entry.row)
        for owner in entry.owners { results[owner] = try read(owner, entry.position + 1, logits) }
      }
      wanted.removeAll(keepingCapacity: true)
      context.beginBatch()
    }
    context.beginBatch()
    for (index, work) in works.enumerated() {
      guard let sequences = sessions[work.session]?.sequences.map(\.id) else { continue }
      for (position, new) in plans[index].new.enumerated() {
        let output = !new.owners.isEmpty
        if !context.hasRoom(output: output) { try flush() }
        if output { wanted.append((context.count, new.position, new.owners)) }
        context.append(
          token: new.token, position: new.position,
          sequences: assigned[index][position].map { sequences[$0] },
          output: output)
      }
    }
    try flush()
    return results
  }
}
