// MARK: Dead ends

extension GrammarProgram {
  /// The alternatives of each rule that come to an end: those without a character that no text has, and without a rule
  /// that never ends.
  ///
  /// A text that follows the others alone can always go on to a complete one. O(elements), as `nullableRules`.
  func productiveRules() -> [[Int32]] {
    var isProductive = [Bool](repeating: false, count: rules.count)
    // Alternatives that may be productive: whose they are, and how many of their calls are not known to be.
    var pending: [(rule: Int, start: Int32, left: Int)] = []
    var users = [[Int]](repeating: [], count: rules.count)
    var found: [Int] = []
    for (rule, alternatives) in rules.enumerated() {
      for start in alternatives {
        guard let calls = calls(ofAlternative: start) else { continue }
        if calls.isEmpty { found.append(rule) }
        for callee in calls { users[callee].append(pending.count) }
        pending.append((rule, start, calls.count))
      }
    }
    while let rule = found.popLast() {
      if isProductive[rule] { continue }
      isProductive[rule] = true
      for user in users[rule] {
        pending[user].left -= 1
        if pending[user].left == 0 { found.append(pending[user].rule) }
      }
    }
    var productive = [[Int32]](repeating: [], count: rules.count)
    for alternative in pending where alternative.left == 0 {
      productive[alternative.rule].append(alternative.start)
    }
    return productive
  }

  /// The rules that an alternative calls; nil where it needs a character that no text has.
  private func calls(ofAlternative start: Int32) -> [Int]? {
    var calls: [Int] = []
    for element in elements[Int(start)...] {
      switch element {
      case .end: return calls
      case .call(let rule): calls.append(Int(rule))
      case .terminal(let number): if !sets[Int(number)].hasTextCharacter { return nil }
      }
    }
    return calls
  }
}
