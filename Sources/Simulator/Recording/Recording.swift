import SpeculationCore

/// What a real target and its draft model said about real texts, position by position: enough to run both in a
/// simulation without either.
///
/// Made by `wanspec trace record`. docs/recordings.md describes the file.
public struct Recording: Sendable, Hashable {
  /// What both models said at one position of the target's own text.
  public struct Position: Sendable, Hashable {
    /// The target's choice.
    public var target: TokenID
    /// The target's probability of its choice at temperature 1, 0...1.
    public var probability: Float
    /// How far the choice is above the runner-up, in nats (a difference of logits); 0 or more.
    public var gap: Float
    /// The draft's entropy in nats, and its likeliest tokens, best first.
    public var draft: Distribution

    public init(target: TokenID, probability: Float, gap: Float, draft: Distribution) {
      self.target = target
      self.probability = probability
      self.gap = gap
      self.draft = draft
    }

    /// Place of the target's choice among the draft's candidates, from 0; nil when it is not among them.
    public var rank: Int? { draft.candidates.firstIndex { $0.token == target } }
  }

  /// One prompt and the target's answer.
  public struct Text: Sendable, Hashable {
    public var id: String
    public var task: String
    /// The prompt's tokens, template included. Not empty.
    public var prompt: [TokenID]
    /// One for each token of the answer. Not empty.
    public var positions: [Position]

    public init(id: String, task: String, prompt: [TokenID], positions: [Position]) {
      self.id = id
      self.task = task
      self.prompt = prompt
      self.positions = positions
    }
  }

  /// Names of the models, as the tool that recorded them knew them.
  public var target: String
  public var draft: String
  /// What made the recording, with its version and date; for people.
  public var madeBy: String
  public var sampling: SamplingSettings
  public var vocabularySize: Int
  public var endTokens: [TokenID]
  /// Candidates recorded for each position, at most.
  public var candidates: Int
  public var texts: [Text]

  public init(
    target: String, draft: String, madeBy: String, sampling: SamplingSettings, vocabularySize: Int,
    endTokens: [TokenID], candidates: Int, texts: [Text]
  ) {
    self.target = target
    self.draft = draft
    self.madeBy = madeBy
    self.sampling = sampling
    self.vocabularySize = vocabularySize
    self.endTokens = endTokens
    self.candidates = candidates
    self.texts = texts
  }

  public var positionCount: Int { texts.reduce(0) { $0 + $1.positions.count } }

  /// Share of positions at which the target's choice is among the draft's `count` likeliest.
  public func matchRate(within count: Int) -> Double {
    let matches = texts.reduce(0) { $0 + $1.positions.count { $0.rank.map { $0 < count } ?? false } }
    return Double(matches) / Double(max(1, positionCount))
  }

  /// The texts of one task, or of all for nil.
  public func texts(of task: String?) -> [Text] {
    task.map { task in texts.filter { $0.task == task } } ?? texts
  }
}
