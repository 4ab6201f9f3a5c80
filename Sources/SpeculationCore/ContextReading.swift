/// Which part of a session's text the draft model guesses from, and which part it reads meanwhile.
///
/// Guesses are only guesses: nobody has to wait until a long text is read. The first ones come from an *excerpt*, the
/// text's beginning and its end, which takes a few passes to read; later ones from a larger excerpt, then from the
/// whole text. A short context costs matches and nothing else. Each part is a sequence of its own at the engine, so an
/// engine needs to know nothing of excerpts.
///
/// Invariants:
/// - there is an excerpt only while the whole text is being read;
/// - what is read of a part never exceeds the part.
struct ContextReading: Sendable {
  /// A text without some of its tokens, as the engine has it.
  struct Part: Hashable, Sendable {
    /// Tells the parts of a session apart; 0 for the whole text.
    var stage: UInt8
    /// Tokens after the first `ReadingCost.head` that are left out; 0 for the whole text.
    var skipped: Int
    /// Its first tokens that the engine has, at least.
    var read = 0

    static let whole = Part(stage: 0, skipped: 0)

    func tokens(of text: [TokenID]) -> [TokenID] {
      skipped == 0 ? text : Array(text[..<ReadingCost.head] + text[(ReadingCost.head + skipped)...])
    }

    /// Tokens that a pass would have to read before it guesses, for a text of `count` tokens.
    func unread(of count: Int) -> Int { max(0, count - skipped - read) }
  }

  private enum State: Hashable, Sendable {
    /// What the engine already has of the text is not known.
    case unknown
    /// Nothing to guess from yet; the whole text is being read.
    case reading
    /// Guesses come from the excerpt. A larger one, if there is one, is read before the whole text.
    case excerpt(Part, larger: Part?)
    case whole
  }

  private var state: State
  private var whole = Part.whole

  /// Unread tokens that are no reason to go on with the excerpt.
  private static let nearlyAll = 8

  /// - Parameter count: tokens of the text
  init(count: Int, cost: ReadingCost) {
    state = count <= cost.atOnce ? .whole : .unknown
  }

  // MARK: What to do

  /// The part that guesses come from; nil while too little is read.
  func partToGuessFrom(count: Int, cost: ReadingCost) -> Part? {
    switch state {
    case .unknown, .reading: nil
    case .excerpt(let part, _): part.unread(of: count) <= 2 * cost.atOnce ? part : nil
    case .whole: whole.unread(of: count) <= cost.atOnce ? whole : nil
    }
  }

  /// The part to be read when there is time; nil when the next guess will read the little that is left.
  func partToRead(count: Int, cost: ReadingCost) -> Part? {
    switch state {
    case .unknown, .reading: whole
    case .excerpt(let part, let larger):
      part.unread(of: count) > 2 * cost.atOnce ? part : larger ?? whole
    // Committed while nothing was drafted: the session is paused, or the worker busy elsewhere.
    case .whole: whole.unread(of: count) > max(cost.atOnce / 2, Self.nearlyAll) ? whole : nil
    }
  }

  /// Whether the engine has to be asked what it has before anything is decided. Costs no computing.
  var isUnknown: Bool { state == .unknown }

  /// All sequences that the engine may have of it, the whole text apart.
  var excerpts: [UInt8] {
    guard case .excerpt(let part, let larger) = state else { return [] }
    return [part.stage] + (larger.map { [$0.stage] } ?? [])
  }

  // MARK: Events

  /// A pass has guessed from a part of `length` tokens, and so read it.
  mutating func guessed(from stage: UInt8, length: Int) {
    switch state {
    case .excerpt(var part, let larger) where part.stage == stage:
      part.read = max(part.read, length)
      state = .excerpt(part, larger: larger)
    case .whole where stage == 0: whole.read = max(whole.read, length)
    default: break
    }
  }

  /// A pass that reads is over.
  ///
  /// - Parameters:
  ///   - stage: of the part
  ///   - cached: tokens of the part that the engine has now
  ///   - count: tokens of the text by now
  ///   - capacity: tokens that excerpts may hold beside the whole text
  /// - Returns: excerpts that are of no more use
  mutating func didRead(
    _ stage: UInt8, cached: Int, count: Int, capacity: Int, cost: ReadingCost
  ) -> [UInt8] {
    switch state {
    case .unknown where stage == 0:
      whole.read = min(cached, count)
      state = begin(count: count, capacity: capacity, cost)
      return []
    case .reading where stage == 0:
      advance(&whole, to: cached, count)
      if whole.unread(of: count) <= cost.atOnce { state = .whole }
      return []
    case .excerpt(let part, var larger?) where stage == larger.stage:
      advance(&larger, to: cached, count)
      guard larger.unread(of: count) <= Self.nearlyAll else {
        state = .excerpt(part, larger: larger)
        return []
      }
      state = .excerpt(larger, larger: nil)
      return [part.stage]
    case .excerpt(var part, let larger) where stage == part.stage:
      advance(&part, to: cached, count)
      state = .excerpt(part, larger: larger)
      return []
    case .excerpt where stage == 0:
      advance(&whole, to: cached, count)
      guard whole.unread(of: count) <= Self.nearlyAll else { return [] }
      let gone = excerpts
      state = .whole
      return gone
    case .whole where stage == 0:
      advance(&whole, to: cached, count)
      return []
    default: return []
    }
  }

  // MARK: Private

  private func begin(count: Int, capacity: Int, _ cost: ReadingCost) -> State {
    let unread = whole.unread(of: count)
    if unread <= cost.atOnce { return .whole }
    guard let sizes = cost.excerpts(unread: unread, capacity: capacity) else { return .reading }
    return .excerpt(
      Part(stage: 1, skipped: count - sizes.first),
      larger: sizes.larger.map { Part(stage: 2, skipped: count - $0) })
  }

  /// An engine that reads nothing when it is asked to will read when it has to guess.
  private func advance(_ part: inout Part, to cached: Int, _ count: Int) {
    let length = count - part.skipped
    part.read = cached > part.read ? min(cached, length) : length
  }
}

extension ContextReading {
  /// The first invariant that does not hold, as a sentence. For tests.
  func brokenInvariant(count: Int) -> String? {
    var parts = [whole]
    if case .excerpt(let part, let larger) = state {
      parts.append(part)
      if let larger {
        parts.append(larger)
        if larger.skipped >= part.skipped { return "the larger excerpt holds no more than the first" }
      }
      if part.skipped <= 0 { return "an excerpt skips nothing" }
    }
    for part in parts where part.read < 0 || part.read > count - part.skipped {
      return "\(part.read) tokens of a part of \(count - part.skipped) are read"
    }
    return nil
  }
}

/// Whose turn it is where guesses and reading want the same engine.
///
/// A guess that is likely to be used goes first, but guesses get no more time than reading; what is unlikely to be of
/// use waits until all is read.
struct ReadingTurns: Hashable, Sendable {
  /// Seconds of guessing less those of reading.
  private var balance = 0.0

  /// Guesses less likely than this wait.
  private static let worthwhile = 0.25
  /// What either side may save up, in seconds: idle time is no claim.
  private static let memory = 0.25

  /// - Parameter best: path probability of the best guess; nil when there is none
  func isReadingsTurn(best: Double?) -> Bool {
    guard let best else { return true }
    return best < Self.worthwhile || balance > 0
  }

  mutating func guessed(_ duration: Duration) { balance = min(balance + duration.inSeconds, Self.memory) }
  mutating func read(_ duration: Duration) { balance = max(balance - duration.inSeconds, -Self.memory) }
}

/// A part of a text that a draft model is to read, without saying anything.
public struct ReadingTask: Sendable {
  public var session: SessionID
  /// See `DraftTask.stage`.
  public var stage: UInt8
  public var tokens: [TokenID]
  /// Tokens to evaluate at most; 0 only asks what the engine has.
  public var limit: Int

  /// The engine's name for the part.
  public var sequence: SessionID { session.sequence(stage) }

  /// Tokens of a text's beginning that every excerpt holds.
  public static let head = ReadingCost.head
}

extension SessionID {
  /// An engine knows each part of a session's text that is guessed from as a sequence of its own. The upper two bits
  /// tell them apart.
  func sequence(_ stage: UInt8) -> SessionID { SessionID(rawValue | UInt64(stage) << 62) }
}
