/// The sessions of a controller, in the order of their ids. What is read or changed is so in place: a dictionary would
/// hand out copies.
struct SessionTable: Sendable {
  /// Ascending.
  private(set) var ids: [SessionID] = []
  /// In the order of `ids`.
  private var sessions: [ServedSession] = []

  var count: Int { ids.count }

  /// O(log(sessions)).
  func contains(_ id: SessionID) -> Bool {
    let place = insertionPlace(of: id)
    return place < ids.count && ids[place] == id
  }

  /// A session that is there.
  subscript(id: SessionID) -> ServedSession {
    _read { yield sessions[place(of: id)] }
    _modify { yield &sessions[place(of: id)] }
  }

  mutating func insert(_ session: ServedSession, as id: SessionID) {
    let place = insertionPlace(of: id)
    precondition(place == ids.count || ids[place] != id, "\(id) is there already")
    ids.insert(id, at: place)
    sessions.insert(session, at: place)
  }

  /// Removes a session that is there.
  mutating func remove(_ id: SessionID) -> ServedSession {
    let place = place(of: id)
    ids.remove(at: place)
    return sessions.remove(at: place)
  }

  private func place(of id: SessionID) -> Int {
    let place = insertionPlace(of: id)
    precondition(place < ids.count && ids[place] == id, "\(id) is not there")
    return place
  }

  private func insertionPlace(of id: SessionID) -> Int {
    // New sessions have the highest ids, and often there is only one.
    guard let last = ids.last, last >= id else { return ids.count }
    var low = 0
    var high = ids.count - 1
    while low < high {
      let middle = (low + high) / 2
      if ids[middle] < id { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
