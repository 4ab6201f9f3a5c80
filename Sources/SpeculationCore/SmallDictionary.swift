/// A dictionary for a few keys, in the order in which they were added: workers of a session, sessions of a worker.
///
/// Look-ups go through the keys one by one, which beats hashing up to some hundred keys. Values are changed in
/// place by their index, so that nothing in them is copied.
struct SmallDictionary<Key: Equatable & Sendable, Value: Sendable>: Sendable {
  private(set) var keys: [Key] = []
  /// In the order of `keys`.
  var values: [Value] = []

  var count: Int { keys.count }
  var isEmpty: Bool { keys.isEmpty }

  /// O(number of keys).
  func index(of key: Key) -> Int? { keys.firstIndex(of: key) }
  func contains(_ key: Key) -> Bool { index(of: key) != nil }

  subscript(key: Key) -> Value? { index(of: key).map { values[$0] } }

  /// Adds a key that is not there yet.
  mutating func append(_ key: Key, _ value: Value) {
    keys.append(key)
    values.append(value)
  }

  /// - Returns: what was removed; nil for an unknown key
  @discardableResult
  mutating func remove(_ key: Key) -> Value? {
    guard let index = index(of: key) else { return nil }
    keys.remove(at: index)
    return values.remove(at: index)
  }

  mutating func removeAll() {
    keys.removeAll()
    values.removeAll()
  }
}
