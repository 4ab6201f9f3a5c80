/// The workers' names for one node. Nearly always none or one, which takes no memory of its own.
struct RemoteNames: Sendable {
  struct Name: Sendable {
    var worker: WorkerID
    var id: RemoteNodeID
  }

  private var first: Name?
  /// Not there before the second name.
  private var others: [Name]?

  var isEmpty: Bool { first == nil }

  @inline(__always)
  func forEach(_ body: (Name) -> Void) {
    guard let first else { return }
    body(first)
    if let others { for name in others { body(name) } }
  }

  func ids(of worker: WorkerID) -> [RemoteNodeID] {
    var ids: [RemoteNodeID] = []
    forEach { if $0.worker == worker { ids.append($0.id) } }
    return ids
  }

  mutating func add(_ id: RemoteNodeID, of worker: WorkerID) {
    let name = Name(worker: worker, id: id)
    if first == nil { first = name } else { others = (others ?? []) + [name] }
  }

  /// Forgets the names that one worker gave.
  mutating func removeAll(of worker: WorkerID) { removeAll { $0.worker == worker } }

  /// Forgets one name.
  mutating func remove(_ id: RemoteNodeID, of worker: WorkerID) {
    removeAll { $0.worker == worker && $0.id == id }
  }

  private mutating func removeAll(where isMeant: (Name) -> Bool) {
    var left = RemoteNames()
    forEach { if !isMeant($0) { left.add($0.id, of: $0.worker) } }
    self = left
  }
}
