extension SessionMachine {
  /// Everything that must hold between events; the first breach as a sentence. For tests. O(n·c).
  package var brokenInvariant: String? {
    if let broken = tree.brokenInvariant { return broken }
    if tree.rootPosition != tokens.count - 1 && !isFinished {
      return "the root is at \(tree.rootPosition), the last token at \(tokens.count - 1)"
    }
    var named: [WorkerID: Int] = [:]
    var broken: String?
    tree.visitBestFirst { node, _ in
      tree.annotation(of: node).names.forEach { name in
        named[name.worker, default: 0] += 1
        guard let mirror = workers[name.worker] else {
          if !isFinished { broken = "a node has an id of \(name.worker), which is not attached" }
          return
        }
        guard case .live(let other)? = mirror.place(of: name.id, in: tree), other == node else {
          broken = "\(name.worker)'s id \(name.id) does not lead to its node"
          return
        }
      }
      return .descend
    }
    if let broken { return broken }
    for (worker, mirror) in zip(workers.keys, workers.values) {
      let all = mirror.all(in: tree)
      if all.count != mirror.count { return "\(worker) has \(all.count) ids, counted \(mirror.count)" }
      let live = all.count { if case .live = $0.place { true } else { false } }
      if live != named[worker, default: 0] {
        return "\(worker) has \(live) live ids, the tree names \(named[worker, default: 0])"
      }
    }
    return nil
  }

  /// What the ids of an attached worker mean: tokens below the root, or for a node on the committed path (the
  /// root included) its position. nil for a worker that is not attached. For tests.
  package func mirrored(
    from worker: WorkerID
  ) -> (live: [RemoteNodeID: [TokenID]], behind: [RemoteNodeID: Int])? {
    guard let mirror = workers[worker] else { return nil }
    var result: (live: [RemoteNodeID: [TokenID]], behind: [RemoteNodeID: Int]) = ([:], [:])
    for (id, place) in mirror.all(in: tree) {
      switch place {
      case .live(let node): result.live[id] = tree.path(to: node)
      case .behind(let position): result.behind[id] = position
      }
    }
    return result
  }
}
