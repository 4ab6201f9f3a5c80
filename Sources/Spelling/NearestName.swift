/// The name that was probably meant.
package enum NearestName {
  /// Bytes; what is longer than any name is not a slip of the finger, and the distance takes O(a·b).
  private static let longestName = 400

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
    guard name.utf8.count <= longestName else { return [] }
    let wanted = Array(name.lowercased())
    return names.map { (name: $0, distance: EditDistance.between(wanted, Array($0.lowercased()))) }
      .enumerated()
      .sorted { ($0.element.distance, $0.offset) < ($1.element.distance, $1.offset) }
      .map(\.element)
  }
}
