extension Collection where Element == String {
  /// "a, b or c".
  ///
  /// - Parameter word: what stands before the last: "or", "and"
  package func listed(before word: String) -> String {
    guard count > 1, let last = Array(self).last else { return first ?? "" }
    return dropLast().joined(separator: ", ") + " \(word) \(last)"
  }
}
