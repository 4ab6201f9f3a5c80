import SpeculationCore

/// Texts to simulate: what the target says, and what its draft model says at every place.
///
/// Made from a recording, or drawn from a model of how often the draft is right. Either way both are pure
/// functions of the text and the place, so that whoever asks, in whatever order, gets the same answer.
public struct TokenSource: Sendable {
  public struct Text: Sendable {
    public var task: String
    public var prompt: [TokenID]
    public var answer: [TokenID]
    /// What the draft says before each token of the answer.
    public var drafts: [Distribution]

    public init(task: String, prompt: [TokenID], answer: [TokenID], drafts: [Distribution]) {
      precondition(!prompt.isEmpty && answer.count == drafts.count, "one distribution for each token")
      self.task = task
      self.prompt = prompt
      self.answer = answer
      self.drafts = drafts
    }
  }

  public var texts: [Text]
  public var vocabularySize: Int
  /// What the draft may say where the target never goes: off the text, its distributions are drawn from these
  /// by a keyed hash of the path, so that a tree costs and offers there what it does on real text.
  private var elsewhere: [Distribution]
  private var seed: UInt64

  public init(texts: [Text], vocabularySize: Int, elsewhere: [Distribution], seed: UInt64) {
    precondition(!elsewhere.isEmpty, "a draft model says something everywhere")
    self.texts = texts
    self.vocabularySize = vocabularySize
    self.elsewhere = elsewhere
    self.seed = seed
  }

  /// The target's choices after the root and after every node of a tree whose parents precede their children.
  ///
  /// After a node off the text the target chooses a token that no draft names: nobody commits it, since its
  /// parent is not the target's choice.
  func verdicts(
    text index: Int, committed: Int, _ set: SessionMachine.VerificationSet, repeats: Bool = false
  ) -> [SessionMachine.Verdict] {
    let answer = texts[index].answer
    let committed = repeats ? committed % answer.count : committed
    func verdict(_ place: Int) -> SessionMachine.Verdict {
      SessionMachine.Verdict(token: self.token(answer, place, repeats) ?? 0, margin: 1)
    }
    var verdicts: [SessionMachine.Verdict] = []
    verdicts.reserveCapacity(set.tokens.count + 1)
    verdicts.append(verdict(committed))
    // Place in the answer of what follows each node; -1 off the text.
    var places: [Int] = []
    places.reserveCapacity(set.tokens.count)
    for (token, parent) in zip(set.tokens, set.parents) {
      let place = parent < 0 ? committed : places[Int(parent)]
      if place >= 0, self.token(answer, place, repeats) == token {
        places.append(place + 1)
        verdicts.append(verdict(place + 1))
      } else {
        places.append(-1)
        verdicts.append(SessionMachine.Verdict(token: 0, margin: 1))
      }
    }
    return verdicts
  }

  /// What the target says at a place of an answer; nil beyond its end.
  private func token(_ answer: [TokenID], _ place: Int, _ repeats: Bool) -> TokenID? {
    place < answer.count ? answer[place] : repeats ? answer[place % answer.count] : nil
  }

  /// What the draft says after guessed tokens that follow the first `committed` tokens of an answer.
  ///
  /// - Parameter repeats: whether the answer begins again at its end
  func draft(text index: Int, committed: Int, path: [TokenID], repeats: Bool = false) -> Distribution {
    let answer = texts[index].answer
    let committed = repeats ? committed % answer.count : committed
    var place = committed
    for token in path {
      guard self.token(answer, place, repeats) == token else {
        return elsewhere[
          Int(hash(index, place, path[(place - committed)...]) % UInt64(elsewhere.count))]
      }
      place += 1
    }
    if repeats { place %= answer.count }
    return place < texts[index].drafts.count
      ? texts[index].drafts[place] : elsewhere[Int(hash(index, place, [])) % elsewhere.count]
  }

  /// What the request of this number asks for: the texts in turn, with other lengths where it says so.
  ///
  /// A prompt of another length, or one that was asked for before, begins with tokens of its own: nobody has read it.
  func request(_ number: Int, prompt: Int?, answer: Int?) -> (prompt: [TokenID], answer: Int) {
    let text = texts[number % texts.count]
    guard prompt != nil || number >= texts.count else { return (text.prompt, answer ?? text.answer.count) }
    var tokens = (0..<(prompt ?? text.prompt.count)).map { text.prompt[$0 % text.prompt.count] }
    for place in tokens.indices.prefix(4) {
      tokens[place] = TokenID(hash(number, place, []) % UInt64(vocabularySize))
    }
    return (tokens, answer ?? text.answer.count)
  }

  /// The same with at most so many candidates for each place.
  func limited(to candidates: Int) -> TokenSource {
    func limited(_ distribution: Distribution) -> Distribution {
      guard distribution.candidates.count > candidates else { return distribution }
      return Distribution(
        entropy: distribution.entropy, candidates: Array(distribution.candidates.prefix(candidates)))
    }
    var copy = self
    copy.elsewhere = elsewhere.map(limited)
    // Mostly the same distributions in the same order: then they stay the same memory, which is soon too much
    // for the processor's caches.
    var place = 0
    for index in texts.indices {
      copy.texts[index].drafts = texts[index].drafts.map { draft in
        defer { place += 1 }
        return place < elsewhere.count && elsewhere[place] == draft
          ? copy.elsewhere[place] : limited(draft)
      }
    }
    return copy
  }

  func hash(_ text: Int, _ place: Int, _ rest: ArraySlice<TokenID>) -> UInt64 {
    var hash = SequenceHash(seed: seed ^ UInt64(text) &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(place) << 32)
    for token in rest { hash.append(UInt64(UInt32(bitPattern: token))) }
    return hash.value & 0x7FFF_FFFF_FFFF_FFFF
  }
}
