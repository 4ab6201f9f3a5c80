/// Follows a grammar along a text, byte by byte.
///
/// A state is the set of places in the grammar where the text so far may be: its *threads*, each a terminal that
/// may come next and a *frame* that says where to go on when the rule of that terminal ends. Calls of one rule at
/// one place of the text share a frame, which lists all places to return to (a graph-structured stack; Tomita,
/// "Efficient Parsing for Natural Language", 1985), so ambiguous grammars cost polynomial space where separate
/// stacks would take exponential. A call at the end of an alternative needs no frame: its rule returns where the
/// caller would.
///
/// Frames and states that are equal are the same number, so the matcher is also a deterministic automaton that is
/// built as it is used: a step that was taken before is one look-up. Inside a JSON string, say, all states are
/// one.
///
/// What a state costs is limited (`maxThreads`, `maxSteps`, `maxDepth`). A text that goes beyond counts as
/// forbidden, which is a function of the text alone.
final class GrammarMatcher {
  typealias StateNumber = Int32

  /// Threads of one state, and the steps that finding them may take.
  static let maxThreads = 2048
  static let maxSteps = 8192
  /// Frames above one another: how deep rules may be nested in a text.
  static let maxDepth = 1024
  /// States that are kept from one pass to the next.
  static let maxKeptStates = 16_384

  /// A place in the grammar (upper half) and a frame (lower half).
  struct Thread: Hashable, Comparable {
    var packed: UInt64

    init(_ position: Int32, _ frame: Int32) {
      packed = UInt64(UInt32(bitPattern: position)) << 32 | UInt64(UInt32(bitPattern: frame))
    }

    var position: Int32 { Int32(truncatingIfNeeded: packed >> 32) }
    var frame: Int32 { Int32(truncatingIfNeeded: packed) }

    static func < (a: Thread, b: Thread) -> Bool { a.packed < b.packed }
  }

  /// The beginning of a character whose other bytes are to come.
  struct Partial: Hashable {
    var value: UInt32 = 0
    var length: UInt8 = 1
    var missing: UInt8 = 0

    /// The characters that it can become.
    var range: ClosedRange<UInt32>? {
      let shift = 6 * UInt32(missing)
      let least: UInt32 = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000
      let low = max(value << shift, least)
      let high = min(value << shift | ((1 << shift) - 1), 0x10FFFF)
      return low <= high ? low...high : nil
    }
  }

  struct State: Hashable {
    /// Ascending, distinct.
    var threads: [Thread]
    /// Whether the text may end here.
    var isComplete: Bool
    var partial = Partial()
  }

  private struct Frame: Hashable {
    /// Where to go on, ascending. Frames have lower numbers than those that return to them.
    var returns: [Thread]
    var depth: Int32
  }

  let program: GrammarProgram
  private(set) var states: [State] = []
  private var stateNumbers: [State: StateNumber] = [:]
  private var frames: [Frame] = []
  private var frameNumbers: [[Thread]: Int32] = [:]
  /// By state (upper bits) and byte (lower eight); -1 is forbidden.
  private var transitions: [UInt64: StateNumber] = [:]
  private var closure = Closure()
  /// The state of the empty text.
  let start: StateNumber = 0

  /// - Throws: `ConstraintError` for a grammar whose very beginning is beyond the limits.
  init(_ program: GrammarProgram) throws {
    self.program = program
    guard begin() else {
      throw ConstraintError(
        "the grammar cannot be used: there are more than \(Self.maxThreads) ways to begin, or rules nested more"
          + " than \(Self.maxDepth) deep")
    }
  }

  private func begin() -> Bool {
    let seeds = program.rules[program.root].map { Thread($0, Self.outermost) }
    return close(seeds).map(number) != nil
  }

  /// The frame of the root rule: returning there completes the text.
  private static let outermost: Int32 = -1

  /// The state after one more byte; nil when the grammar forbids it.
  func next(_ state: StateNumber, _ byte: UInt8) -> StateNumber? {
    let key = UInt64(UInt32(bitPattern: state)) << 8 | UInt64(byte)
    if let known = transitions[key] { return known < 0 ? nil : known }
    let result = step(states[Int(state)], byte).map(number)
    transitions[key] = result ?? -1
    return result
  }

  /// Forgets everything but the start, when there is much to forget. States' numbers are then void.
  ///
  /// - Returns: whether it did
  func forgetIfLarge() -> Bool {
    guard states.count > Self.maxKeptStates else { return false }
    states = []
    stateNumbers = [:]
    frames = []
    frameNumbers = [:]
    transitions = [:]
    return begin()
  }

  /// Runs `body` and, when it left too many states, forgets those that it made.
  func scouting<Result>(_ body: () -> Result) -> Result {
    let (stateCount, frameCount) = (states.count, frames.count)
    let result = body()
    if states.count > Self.maxKeptStates, states.count > stateCount {
      for state in states[stateCount...] { stateNumbers[state] = nil }
      for frame in frames[frameCount...] { frameNumbers[frame.returns] = nil }
      states.removeSubrange(stateCount...)
      frames.removeSubrange(frameCount...)
      transitions = [:]
    }
    return result
  }

  private func number(of state: State) -> StateNumber {
    if let known = stateNumbers[state] { return known }
    let number = StateNumber(states.count)
    states.append(state)
    stateNumbers[state] = number
    return number
  }

  // MARK: One byte

  private func step(_ state: State, _ byte: UInt8) -> State? {
    // No token's text is cut off by a NUL.
    if byte == 0 { return nil }
    if state.partial.missing == 0 && byte < 0x80 { return consume(UInt32(byte), state) }
    var partial = state.partial
    if partial.missing == 0 {
      switch byte {
      case 0xC2...0xDF: partial = Partial(value: UInt32(byte & 0x1F), length: 2, missing: 1)
      case 0xE0...0xEF: partial = Partial(value: UInt32(byte & 0x0F), length: 3, missing: 2)
      case 0xF0...0xF4: partial = Partial(value: UInt32(byte & 0x07), length: 4, missing: 3)
      default: return nil
      }
    } else {
      guard byte & 0xC0 == 0x80 else { return nil }
      partial.value = partial.value << 6 | UInt32(byte & 0x3F)
      partial.missing -= 1
    }
    guard let range = partial.range else { return nil }
    if partial.missing == 0 { return consume(partial.value, state) }
    let left = state.threads.filter { set(of: $0).overlaps(range) }
    return left.isEmpty ? nil : State(threads: left, isComplete: false, partial: partial)
  }

  private func set(of thread: Thread) -> ScalarSet {
    guard case .terminal(let number) = program.elements[Int(thread.position)] else {
      preconditionFailure("a thread rests on something that is no terminal")
    }
    return program.sets[Int(number)]
  }

  private func consume(_ scalar: UInt32, _ state: State) -> State? {
    let seeds = state.threads.compactMap { thread in
      set(of: thread).contains(scalar) ? Thread(thread.position + 1, thread.frame) : nil
    }
    return seeds.isEmpty ? nil : close(seeds)
  }

  // MARK: Calls and returns

  /// Frames that are being made while one character is consumed. They are numbered from -2 downwards; they become
  /// lasting ones when all places to return to are known.
  private struct Closure {
    struct NewFrame {
      var returns: [Thread] = []
      /// Its rule came to its end within this step: the rule may be empty.
      var hasEnded = false
      var lasting: Int32?
    }

    var frames: [NewFrame] = []
    var frameOfRule: [Int32: Int32] = [:]
    var seen: Set<Thread> = []
    var todo: [Thread] = []
    var resting: [Thread] = []
    /// Whether a frame is nested deeper than the limit.
    var isTooDeep = false

    mutating func clear() {
      isTooDeep = false
      frames.removeAll(keepingCapacity: true)
      frameOfRule.removeAll(keepingCapacity: true)
      seen.removeAll(keepingCapacity: true)
      todo.removeAll(keepingCapacity: true)
      resting.removeAll(keepingCapacity: true)
    }
  }

  /// Follows calls and returns from places until every thread rests on a terminal.
  ///
  /// - Returns: nil when there is none and the text may not end either, or beyond the limits.
  private func close(_ seeds: [Thread]) -> State? {
    closure.clear()
    closure.todo = seeds
    var isComplete = false
    while let thread = closure.todo.popLast() {
      guard closure.seen.insert(thread).inserted else { continue }
      if closure.seen.count > Self.maxSteps { return nil }
      switch program.elements[Int(thread.position)] {
      case .terminal:
        closure.resting.append(thread)
        if closure.resting.count > Self.maxThreads { return nil }
      case .call(let rule):
        call(rule, thread)
      case .end:
        if thread.frame == Self.outermost {
          isComplete = true
        } else if thread.frame >= 0 {
          closure.todo += frames[Int(thread.frame)].returns
        } else {
          let index = Self.index(ofNew: thread.frame)
          closure.frames[index].hasEnded = true
          closure.todo += closure.frames[index].returns
        }
      }
    }
    if closure.resting.isEmpty && !isComplete { return nil }
    // Different new frames may turn out to be the same lasting one.
    var threads = closure.resting.map { Thread($0.position, lasting($0.frame)) }
    if closure.isTooDeep { return nil }
    threads.sort()
    var distinct: [Thread] = []
    distinct.reserveCapacity(threads.count)
    for thread in threads where distinct.last != thread { distinct.append(thread) }
    return State(threads: distinct, isComplete: isComplete)
  }

  private static func index(ofNew frame: Int32) -> Int { -2 - Int(frame) }

  private func call(_ rule: Int32, _ thread: Thread) {
    let alternatives = program.rules[Int(rule)]
    if program.elements[Int(thread.position) + 1] == .end {
      closure.todo += alternatives.map { Thread($0, thread.frame) }
      return
    }
    let back = Thread(thread.position + 1, thread.frame)
    if let frame = closure.frameOfRule[rule] {
      let index = Self.index(ofNew: frame)
      // Seen threads are distinct, so this one is not in the list yet.
      closure.frames[index].returns.append(back)
      if closure.frames[index].hasEnded { closure.todo.append(back) }
    } else {
      let frame = -2 - Int32(closure.frames.count)
      closure.frames.append(Closure.NewFrame(returns: [back]))
      closure.frameOfRule[rule] = frame
      closure.todo += alternatives.map { Thread($0, frame) }
    }
  }

  /// The lasting frame of a new one. The chain of new frames ends, since no rule can begin with itself.
  private func lasting(_ frame: Int32) -> Int32 {
    if frame >= Self.outermost { return frame }
    let index = Self.index(ofNew: frame)
    if let known = closure.frames[index].lasting { return known }
    var returns = closure.frames[index].returns.map { Thread($0.position, lasting($0.frame)) }
    returns.sort()
    let number: Int32
    if let known = frameNumbers[returns] {
      number = known
    } else {
      let above = returns.map { $0.frame < 0 ? 0 : frames[Int($0.frame)].depth }.max() ?? 0
      if above >= Self.maxDepth { closure.isTooDeep = true }
      number = Int32(frames.count)
      frames.append(Frame(returns: returns, depth: above + 1))
      frameNumbers[returns] = number
    }
    closure.frames[index].lasting = number
    return number
  }
}
