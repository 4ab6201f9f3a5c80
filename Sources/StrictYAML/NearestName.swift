/// The name that was probably meant.
package enum NearestName {
  /// - Returns: nil when none is near: more than a third of the letters differ.
  package static func of(_ name: String, among names: [String]) -> String? {
    guard let best = ranked(name, names).first else { return nil }
    return best.distance <= max(1, max(name.count, best.name.count) / 3) ? best.name : nil
  }

  /// For units, of which there are few: the nearest however far, unless two are equally near. A unit that
  /// `name` begins with goes first ("minutes").
  package static func ofUnit(_ name: String, among names: [String]) -> String? {
    let lowercased = name.lowercased()
    let beginnings = names.filter { lowercased.hasPrefix($0.lowercased()) }
    if let longest = beginnings.max(by: { $0.count < $1.count }) { return longest }
    let ranked = ranked(name, names)
    guard let best = ranked.first, best.distance < max(name.count, best.name.count) else { return nil }
    return ranked.dropFirst().first?.distance == best.distance ? nil : best.name
  }

  /// Nearest first; in the order given where equal.
  private static func ranked(_ name: String, _ names: [String]) -> [(name: String, distance: Int)] {
    // What is longer than any key is not a slip of the finger, and the distance takes O(a·b).
    guard name.utf8.count <= 4 * YAMLDocument.maxKeyLength else { return [] }
    let wanted = Array(name.lowercased())
    return names.map { (name: $0, distance: distance(wanted, Array($0.lowercased()))) }
      .enumerated()
      .sorted { ($0.element.distance, $0.offset) < ($1.element.distance, $1.offset) }
      .map(\.element)
  }

  /// Damerau and Levenshtein's distance (optimal string alignment): letters inserted, deleted, substituted,
  /// or swapped with their neighbour.
  static func distance(_ a: [Character], _ b: [Character]) -> Int {
    var before: [Int] = []
    var last = Array(0...b.count)
    for i in a.indices {
      var row = [i + 1]
      for j in b.indices {
        var best = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, before[j - 1] + 1) }
        row.append(best)
      }
      (before, last) = (last, row)
    }
    return last[b.count]
  }
}
