/// A piece of a finished answer that the target is to decide once more, alone.
public struct AuditPass: Hashable, Sendable {
  /// Of this audit: nobody else's, and nothing of it is in the target's cache at the first piece.
  public var session: SessionID
  /// Whose answer it is.
  public var answer: SessionID
  /// Every token up to and including the one after which the comparison goes on.
  public var prefix: [TokenID]
  /// What the answer says after `prefix`, at least one token: the choices after `prefix`, and after each of these but
  /// the last, are compared with them.
  public var expected: [TokenID]
  /// Tokens of `prefix` that the pass may read beyond the last one.
  public var prefillBudget: Int
}

/// What came of it.
public struct AuditReport: Sendable {
  public var session: SessionID
  /// The target's choices, in order; none at all where `prefix` is not all read yet.
  public var verdicts: [SessionMachine.Verdict]
  /// Why the pass failed; nil where it did not.
  public var failure: String?

  public init(session: SessionID, verdicts: [SessionMachine.Verdict], failure: String? = nil) {
    self.session = session
    self.verdicts = verdicts
    self.failure = failure
  }
}

/// What an audit of one answer found.
public struct AuditFinding: Hashable, Sendable {
  /// Where the target alone chooses another token. Nothing after it can be compared.
  public struct Difference: Hashable, Sendable {
    /// Of the token, counted from the answer's first.
    public var index: Int
    public var given: TokenID
    public var chosen: TokenID
    /// By how much the target's choice won (`SessionMachine.Verdict.margin`).
    public var margin: Float

    public init(index: Int, given: TokenID, chosen: TokenID, margin: Float) {
      self.index = index
      self.given = given
      self.chosen = chosen
      self.margin = margin
    }

    /// Whether rounding cannot explain it: any difference of a target whose passes agree to the bit, and a clear one of
    /// any other.
    public func isWrong(deterministic: Bool) -> Bool {
      deterministic || margin >= SessionMachine.Verdict.nearTieMargin
    }
  }

  public enum Outcome: Hashable, Sendable {
    case same
    case different(Difference)
    /// The target had no time for it, or failed: nothing is known.
    case skipped(reason: String)

    public var isDifferent: Bool { if case .different = self { true } else { false } }
  }

  public var answer: SessionID
  public var promptLength: Int
  /// Prompt and answer.
  public var tokens: [TokenID]
  public var outcome: Outcome

  public init(answer: SessionID, promptLength: Int, tokens: [TokenID], outcome: Outcome) {
    self.answer = answer
    self.promptLength = promptLength
    self.tokens = tokens
    self.outcome = outcome
  }
}

/// Which finished answers the target decides once more, alone and from nothing, when, and what came of it.
///
/// Lowest priority: only while nobody runs or waits, in pieces that cost about a pass or two, and all that was read is
/// given up when somebody comes. The queue is bounded; what does not fit or is interrupted too often is skipped and counted.
struct AuditMachine: Sendable {
  private struct Subject: Sendable {
    var answer: SessionID
    var tokens: [TokenID]
    var promptLength: Int
    /// Tokens of the answer that have been compared since the last interruption.
    var compared = 0
    var interruptions = 0
  }

  private static let maxWaiting = 64
  private static let maxInterruptions = 16

  /// Of the answers, 0...1.
  let share: Double
  /// Grows by `share` with each answer; from 1 on that answer is taken.
  private var due = 0.0
  private var waiting: [Subject] = []
  /// The first one holds cells of the target's cache.
  private(set) var holdsCells = false
  /// A piece has no answer yet, perhaps one of an audit that was interrupted.
  private var isUnderWay = false
  private var started: UInt64 = 0

  init(share: Double) { self.share = share }

  /// Sessions of audits, apart from those of answers.
  private var session: SessionID { SessionID(1 << 62 | started) }

  enum Offer {
    /// It is not one of those that are looked at.
    case passed
    /// It waits for its turn.
    case taken
    case skipped(AuditFinding)
  }

  /// An answer is over.
  mutating func offer(_ answer: SessionID, tokens: [TokenID], promptLength: Int) -> Offer {
    guard share > 0, tokens.count > promptLength else { return .passed }
    due += share
    guard due >= 1 else { return .passed }
    due -= 1
    let subject = Subject(answer: answer, tokens: tokens, promptLength: promptLength)
    if waiting.count >= Self.maxWaiting {
      return .skipped(Self.finding(subject, .skipped(reason: "\(waiting.count) answers wait already")))
    }
    waiting.append(subject)
    return .taken
  }

  /// The next piece, of about so many tokens; nil where there is nothing to do.
  mutating func next(size: Int) -> AuditPass? {
    guard !isUnderWay, let subject = waiting.first else { return nil }
    if !holdsCells { started += 1 }
    isUnderWay = true
    holdsCells = true
    let root = subject.promptLength + subject.compared
    return AuditPass(
      session: session, answer: subject.answer, prefix: Array(subject.tokens[..<root]),
      expected: Array(subject.tokens[root..<min(root + size, subject.tokens.count)]), prefillBudget: size)
  }

  /// - Returns: what was found, where that is the end of this audit
  mutating func ended(_ report: AuditReport) -> AuditFinding? {
    isUnderWay = false
    // Otherwise it was interrupted meanwhile.
    guard holdsCells, report.session == session else { return nil }
    if let failure = report.failure { return finish(.skipped(reason: failure)) }
    for verdict in report.verdicts {
      let index = waiting[0].compared
      let given = waiting[0].tokens[waiting[0].promptLength + index]
      if verdict.token != given {
        return finish(
          .different(.init(index: index, given: given, chosen: verdict.token, margin: verdict.margin)))
      }
      waiting[0].compared += 1
    }
    return waiting[0].promptLength + waiting[0].compared == waiting[0].tokens.count ? finish(.same) : nil
  }

  private mutating func finish(_ outcome: AuditFinding.Outcome) -> AuditFinding {
    holdsCells = false
    return Self.finding(waiting.removeFirst(), outcome)
  }

  /// Somebody needs the target.
  ///
  /// - Returns: the audit's session, whose cells are to be freed, and a finding where the answer is given up
  mutating func interrupt() -> (session: SessionID, finding: AuditFinding?)? {
    guard holdsCells else { return nil }
    let held = session
    holdsCells = false
    waiting[0].compared = 0
    waiting[0].interruptions += 1
    guard waiting[0].interruptions >= Self.maxInterruptions else { return (held, nil) }
    return (held, Self.finding(waiting.removeFirst(), .skipped(reason: "the target had no time")))
  }

  /// Nothing more is looked at.
  mutating func giveUp() -> [AuditFinding] {
    let left = waiting.map { Self.finding($0, .skipped(reason: "the server stops")) }
    waiting = []
    holdsCells = false
    return left
  }

  private static func finding(_ subject: Subject, _ outcome: AuditFinding.Outcome) -> AuditFinding {
    AuditFinding(
      answer: subject.answer, promptLength: subject.promptLength, tokens: subject.tokens, outcome: outcome)
  }
}
