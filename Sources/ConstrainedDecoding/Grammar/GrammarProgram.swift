/// A grammar's rules as one list of elements, as the matcher runs them.
///
/// An alternative is a run of elements that ends with `.end`; a rule is a list of alternatives. Repetitions are
/// written out as llama.cpp writes them: `x{2,4}` becomes `x x r2`, with `r2 ::= x r1 | ` and `r1 ::= x | `.
///
/// It is checked to be without left recursion (a rule that can begin with itself), so following calls always comes
/// to an end.
public struct GrammarProgram: Sendable {
  enum Element: Hashable, Sendable {
    case end
    /// A character of a set of `sets`.
    case terminal(Int32)
    /// A rule, by number.
    case call(Int32)
  }

  private(set) var elements: [Element] = []
  private(set) var sets: [ScalarSet] = []
  /// Where the alternatives of each rule begin. Those that lead to no complete text are left out.
  private(set) var rules: [[Int32]]
  let root: Int
  /// For messages: the written rule that each rule belongs to.
  private var owners: [Int]
  private let names: [String]
  private var setNumbers: [ScalarSet: Int32] = [:]

  /// Parses and checks a grammar.
  ///
  /// - Throws: `ConstraintError` that says what is wrong and in which line.
  public init(_ text: String) throws {
    let bytes = text.utf8.count
    guard bytes <= Grammar.maxBytes else {
      throw Self.error("it has \(bytes) bytes: at most \(Grammar.maxBytes) are accepted")
    }
    let parsed: [GrammarParser.Rule]
    do {
      parsed = try GrammarParser.rules(of: text.utf8)
    } catch {
      throw Self.error("line \(error.line): \(error.problem)")
    }
    guard let root = parsed.firstIndex(where: { $0.name == "root" }) else {
      throw Self.error("it has no rule root, with which every text begins")
    }
    self.root = root
    names = parsed.map(\.name)
    owners = Array(parsed.indices)
    rules = Array(repeating: [], count: parsed.count)
    for (number, rule) in parsed.enumerated() {
      guard let body = rule.body else { continue }
      // Judged before anything is written out.
      var size = 0
      Self.measure(body, times: 1, &size)
      guard elements.count + size <= Grammar.maxElements else {
        throw Self.error(
          "rule \(rule.name), line \(rule.line), makes it larger than \(Grammar.maxElements) elements: lower its"
            + " repetitions")
      }
      rules[number] = try alternatives(of: body, owner: number)
    }
    if let rule = leftRecursiveRule() {
      throw Self.error(
        "rule \(names[owners[rule]]) can begin with itself")
    }
    rules = productiveRules()
    if rules[root].isEmpty {
      throw Self.error(
        "no text follows it, since every way through rule root goes on for ever or needs a character"
          + " that there is none of")
    }
  }

  private static func error(_ problem: String) -> ConstraintError {
    ConstraintError("the grammar cannot be used: \(problem)")
  }

  // MARK: Writing out

  /// Adds up how many elements an expression becomes at most; stops where that is too many anyway.
  private static func measure(_ expression: GrammarParser.Expression, times: Int, _ size: inout Int) {
    guard size <= Grammar.maxElements else { return }
    switch expression {
    case .set, .rule: size += times
    case .sequence(let items):
      size += times
      for item in items { measure(item, times: times, &size) }
    case .alternatives(let all):
      size += 2 * times
      for item in all { measure(item, times: times, &size) }
    case .repetition(let body, let least, let most):
      // The body is written once, as a rule; each repetition is a call of it.
      measure(body, times: times, &size)
      size += times * (least + 5 * ((most ?? least + 1) - least) + 2)
    }
  }

  /// Writes the alternatives of a rule's body.
  private mutating func alternatives(
    of body: GrammarParser.Expression, owner: Int
  ) throws -> [Int32] {
    var all = [body]
    if case .alternatives(let several) = body { all = several }
    return try all.map { alternative in
      var items: [Element] = []
      try append(alternative, to: &items, owner: owner)
      return add(items)
    }
  }

  private mutating func append(
    _ expression: GrammarParser.Expression, to items: inout [Element], owner: Int
  ) throws {
    switch expression {
    case .set(let set): items.append(.terminal(number(of: set)))
    case .rule(let number): items.append(.call(Int32(number)))
    case .sequence(let all): for item in all { try append(item, to: &items, owner: owner) }
    case .alternatives: items.append(try rule(for: expression, owner: owner))
    case .repetition(let body, let least, let most):
      let one = try single(body, owner: owner)
      items += Array(repeating: one, count: least)
      if let most {
        var rest: Element?
        for _ in least..<most {
          let more = [one] + (rest.map { [$0] } ?? [])
          rest = newRule([add(more), add([])], owner: owner)
        }
        if let rest { items.append(rest) }
      } else {
        let rest = newRule([], owner: owner)
        if case .call(let number) = rest { rules[Int(number)] = [add([one, rest]), add([])] }
        items.append(rest)
      }
    }
  }

  /// An expression as one element.
  private mutating func single(
    _ expression: GrammarParser.Expression, owner: Int
  ) throws -> Element {
    switch expression {
    case .set(let set): return .terminal(number(of: set))
    case .rule(let number): return .call(Int32(number))
    default: return try rule(for: expression, owner: owner)
    }
  }

  private mutating func rule(for body: GrammarParser.Expression, owner: Int) throws -> Element {
    newRule(try alternatives(of: body, owner: owner), owner: owner)
  }

  private mutating func newRule(_ alternatives: [Int32], owner: Int) -> Element {
    rules.append(alternatives)
    owners.append(owner)
    return .call(Int32(rules.count - 1))
  }

  private mutating func add(_ items: [Element]) -> Int32 {
    defer { elements += items + [.end] }
    return Int32(elements.count)
  }

  private mutating func number(of set: ScalarSet) -> Int32 {
    if let known = setNumbers[set] { return known }
    setNumbers[set] = Int32(sets.count)
    sets.append(set)
    return Int32(sets.count - 1)
  }
}

// MARK: Left recursion

extension GrammarProgram {
  /// A rule that can come to itself again before any character; nil when there is none.
  ///
  /// O(elements): the rules that may be empty are found by counting down what is left of each alternative, then a
  /// depth-first search looks for a cycle of leftmost calls.
  private func leftRecursiveRule() -> Int? {
    let nullable = nullableRules()
    let leftmost = rules.enumerated().map { number, alternatives in
      alternatives.flatMap { start -> [Int] in
        var calls: [Int] = []
        var at = Int(start)
        while case .call(let rule) = elements[at] {
          // A repetition's own, behind what may be empty: a call in the last place leads nowhere new.
          if rule == number, number >= names.count, elements[at + 1] == .end { break }
          calls.append(Int(rule))
          if !nullable[Int(rule)] { break }
          at += 1
        }
        return calls
      }
    }
    enum Mark { case new, open, done }
    var marks = [Mark](repeating: .new, count: rules.count)
    for start in rules.indices where marks[start] == .new {
      var path: [(rule: Int, next: Int)] = [(start, 0)]
      marks[start] = .open
      while let (rule, next) = path.last {
        guard next < leftmost[rule].count else {
          marks[rule] = .done
          path.removeLast()
          continue
        }
        path[path.count - 1].next += 1
        let callee = leftmost[rule][next]
        switch marks[callee] {
        case .open: return callee
        case .new:
          marks[callee] = .open
          path.append((callee, 0))
        case .done: break
        }
      }
    }
    return nil
  }

  private func nullableRules() -> [Bool] {
    var nullable = [Bool](repeating: false, count: rules.count)
    // Alternatives of calls alone: whose they are, and how many of their calls are not known to be nullable.
    var pending: [(rule: Int, left: Int)] = []
    var users = [[Int]](repeating: [], count: rules.count)
    var found: [Int] = []
    for (rule, alternatives) in rules.enumerated() {
      for start in alternatives {
        var at = Int(start)
        var calls: [Int] = []
        while case .call(let callee) = elements[at] {
          calls.append(Int(callee))
          at += 1
        }
        guard elements[at] == .end else { continue }
        if calls.isEmpty {
          found.append(rule)
        } else {
          for callee in calls { users[callee].append(pending.count) }
          pending.append((rule, calls.count))
        }
      }
    }
    while let rule = found.popLast() {
      if nullable[rule] { continue }
      nullable[rule] = true
      for user in users[rule] {
        pending[user].left -= 1
        if pending[user].left == 0 { found.append(pending[user].rule) }
      }
    }
    return nullable
  }
}
