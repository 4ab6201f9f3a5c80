import ModelBackend
import SpeculationCore

// Sessions that begin alike have the cells of what they have in common together. llama.cpp needs no more than a
// mark on the cells for that; what this costs is a sequence for each text that is kept.

extension LlamaEngine {
  /// Tokens that a text must have in common with another to be worth a sequence.
  static let leastShare = 8

  /// Cells in use, those of released sessions included.
  var usedCells: Int {
    segments.cells + sessions.values.reduce(0) { $0 + $1.ownCells } + retained.reduce(0) { $0 + $1.ownCells }
  }

  /// Gives a session what another one, open or released, has cached of its prefix, if that is worth it. The last
  /// token of a prefix is always left to be evaluated, since outputs are not kept.
  ///
  /// O(open and released sessions times what each has in common with the prefix).
  ///
  /// - Returns: tokens that need not be computed now.
  func takeOver(_ work: SessionWork, _ context: LlamaContext) -> Int {
    guard options.sharesPrefixes else { return 0 }
    let had = sessions[work.session]?.trunk.count ?? 0
    let usable = work.prefix.count - 1
    var best = had + LlamaEngine.leastShare - 1
    // The latest first: it is the one to be kept longest.
    var released: Int?
    for index in retained.indices.reversed() {
      let common = min(usable, commonLength(retained[index].trunk, work.prefix))
      if common > best { (best, released) = (common, index) }
    }
    var open: SessionID?
    for session in sessions.keys.sorted() where session != work.session {
      let common = min(usable, commonLength(sessions[session]?.trunk ?? [], work.prefix))
      if common > best { (best, open) = (common, session) }
    }
    if let open {
      guard acquireFirstSequence(of: work.session, sparingLatest: false, context) else { return 0 }
      guard var source = sessions.removeValue(forKey: open) else { return 0 }
      copy(best, from: &source, to: work, context)
      sessions[open] = source
      return best - had
    }
    guard let released else { return 0 }
    var source = retained.remove(at: released)
    let isNew = sessions[work.session]?.sequences.isEmpty ?? true
    if isNew && source.trunk.count - best < LlamaEngine.leastShare {
      // What would be left of it is not worth a sequence: continued, not copied.
      source.truncate(to: best, memory: context)
      source.settle(&segments)
      sessions[work.session] = source
      return best - had
    }
    // Of use again, so it is the last to go.
    retained.append(source)
    if acquireFirstSequence(of: work.session, sparingLatest: true, context) {
      copy(best, from: &retained[retained.count - 1], to: work, context)
      return best - had
    }
    source = retained.removeLast()
    source.truncate(to: best, memory: context)
    source.settle(&segments)
    sessions[work.session] = source
    return best - had
  }

  /// Replaces what a session has cached by the first `count` tokens of another one's trunk.
  private func copy(
    _ count: Int, from source: inout SessionCache, to work: SessionWork, _ context: LlamaContext
  ) {
    guard let sequence = source.trunkSequence, var cache = sessions.removeValue(forKey: work.session) else {
      return
    }
    cache.truncate(to: 0, memory: context)
    cache.settle(&segments)
    cache.sharedSegment = source.share(first: count, &segments)
    cache.sharedCount = count
    cache.trunk = Array(work.prefix.prefix(count))
    context.share(from: source.sequences[sequence].id, to: cache.sequences[0].id, positions: 0..<count)
    cache.sequences[0].content = .prefix(count)
    sessions[work.session] = cache
  }

  /// Sees to it that a session has a sequence, at the expense of released sessions, then of sequences that are not needed,
  /// then of the oldest guesses.
  ///
  /// - Parameter sparingLatest: whether the released session of use most recently stays
  private func acquireFirstSequence(of session: SessionID, sparingLatest: Bool, _ context: LlamaContext)
    -> Bool
  {
    if !(sessions[session]?.sequences.isEmpty ?? true) { return true }
    while freeSequences.isEmpty {
      if retained.count > (sparingLatest ? 1 : 0), freeOldestRetained(context) { continue }
      if reclaimIdleSequence(except: [SessionID](), context) { continue }
      if freeOldestBranch([:], context) == nil { return false }
    }
    sessions[session, default: SessionCache()].sequences = [
      .init(id: freeSequences.removeLast(), content: .prefix(0))
    ]
    return true
  }
}

// MARK: Released sessions

extension LlamaEngine {
  /// Keeps the trunk of a released session, on one sequence, unless another one has it too.
  func retain(_ cache: SessionCache, _ context: LlamaContext) {
    var cache = cache
    guard options.sharesPrefixes, cache.trunk.count >= LlamaEngine.leastShare,
      let keeper = cache.trunkSequence,
      !isCovered(cache.trunk)
    else {
      free(cache, context)
      return
    }
    for (index, sequence) in cache.sequences.enumerated() {
      if index != keeper {
        context.remove(sequence: sequence.id, from: 0)
        freeSequences.append(sequence.id)
      } else if case .node = sequence.content {
        context.remove(sequence: sequence.id, from: cache.trunk.count)
      }
    }
    cache.sequences = [.init(id: cache.sequences[keeper].id, content: .prefix(cache.trunk.count))]
    cache.nodes = []
    cache.settle(&segments)
    for index in retained.indices.reversed() {
      let trunk = retained[index].trunk
      if commonLength(trunk, cache.trunk) == trunk.count { free(retained.remove(at: index), context) }
    }
    retained.append(cache)
  }

  /// Whether another session has all of a text. A released one that has is of use again.
  private func isCovered(_ text: [TokenID]) -> Bool {
    if sessions.values.contains(where: { commonLength($0.trunk, text) == text.count }) { return true }
    guard let index = retained.firstIndex(where: { commonLength($0.trunk, text) == text.count }) else {
      return false
    }
    retained.append(retained.remove(at: index))
    return true
  }

  func freeOldestRetained(_ context: LlamaContext) -> Bool {
    if retained.isEmpty { return false }
    free(retained.removeFirst(), context)
    return true
  }

  /// Frees all that a session has: its sequences, and the cells that no other has.
  func free(_ cache: SessionCache, _ context: LlamaContext) {
    for sequence in cache.sequences {
      context.remove(sequence: sequence.id, from: 0)
      freeSequences.append(sequence.id)
    }
    segments.drop(cache.sharedSegment)
  }
}

// MARK: Making room among the open sessions

extension LlamaEngine {
  /// Takes a sequence from a session that does not need it now. The sessions of the running pass have counted
  /// theirs already.
  func reclaimIdleSequence(except busy: some Collection<SessionID>, _ context: LlamaContext) -> Bool {
    for session in sessions.keys.sorted() where !busy.contains(session) {
      guard let sequence = sessions[session]?.idleSequences.last,
        let id = sessions[session]?.sequences.remove(at: sequence).id
      else { continue }
      context.remove(sequence: id, from: 0)
      freeSequences.append(id)
      return true
    }
    return false
  }

  /// Takes a sequence from a session of the running pass that has more than its part needs.
  func reclaimSurplusSequence(
    _ works: [SessionWork], _ plans: inout [SessionPlan], _ context: LlamaContext
  ) -> Bool {
    for (index, work) in works.enumerated() where plans[index].surplusSequences > 0 {
      guard var cache = sessions[work.session], let sequence = cache.idleSequences.last else { continue }
      let id = cache.sequences.remove(at: sequence).id
      context.remove(sequence: id, from: 0)
      freeSequences.append(id)
      plans[index] = cache.plan(work)
      sessions[work.session] = cache
      return true
    }
    return false
  }

  /// Frees the guesses that were of use the longest time ago.
  ///
  /// - Returns: whose they were; nil when there are none.
  func freeOldestBranch(_ protected: [SessionID: Set<Int>], _ context: LlamaContext) -> SessionID? {
    var oldest: (session: SessionID, lastUse: UInt64, keep: [Bool])?
    for session in sessions.keys.sorted() {
      guard let branch = sessions[session]?.oldestBranch(protected: protected[session] ?? []) else {
        continue
      }
      if oldest.map({ branch.lastUse < $0.lastUse }) ?? true {
        oldest = (session, branch.lastUse, branch.keep)
      }
    }
    guard let oldest else { return nil }
    sessions[oldest.session]?.retain(oldest.keep, memory: context)
    return oldest.session
  }
}
