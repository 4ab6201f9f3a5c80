/// The sessions of a controller, in the order of their ids. What is read or changed is so in place: a dictionary would
/// hand out copies.
struct SessionTable: Sendable {
  /// Ascending.
  private(set) var ids: [SessionID] = []
  /// Where the session of each id is.
  private var places: [Int] = []
  private var slots: [ServedSession] = []

  var count: Int { ids.count }

  /// O(log(sessions)).
  func contains(_ id: SessionID) -> Bool {
    let index = insertionIndex(of: id)
    return index < ids.count && ids[index] == id
  }

  /// A session that is there.
  subscript(id: SessionID) -> ServedSession {
    _read { yield slots[place(of: id)] }
    _modify { yield &slots[place(of: id)] }
  }

  mutating func insert(_ session: ServedSession, as id: SessionID) {
    let index = insertionIndex(of: id)
    precondition(index == ids.count || ids[index] != id, "\(id) is there already")
    ids.insert(id, at: index)
    places.insert(slots.count, at: index)
    slots.append(session)
  }

  /// Removes a session that is there.
  mutating func remove(_ id: SessionID) -> ServedSession {
    let index = insertionIndex(of: id)
    let place = place(of: id)
    ids.remove(at: index)
    places.remove(at: index)
    let removed = slots[place]
    let last = slots.removeLast()
    if place < slots.count {
      slots[place] = last
      places[places.firstIndex(of: slots.count)!] = place
    }
    return removed
  }

  private func place(of id: SessionID) -> Int {
    let index = insertionIndex(of: id)
    precondition(index < ids.count && ids[index] == id, "\(id) is not there")
    return places[index]
  }

  private func insertionIndex(of id: SessionID) -> Int {
    // New sessions have the highest ids, and often there is only one.
    guard let last = ids.last, last >= id else { return ids.count }
    if last == id { return ids.count - 1 }
    var low = 0
    var high = ids.count - 1
    while low < high {
      let middle = (low + high) / 2
      if ids[middle] < id { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
