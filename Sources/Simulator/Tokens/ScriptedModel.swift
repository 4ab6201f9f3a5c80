import SpeculationCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A target and its draft as pure functions: every answer depends only on the script, the sampling settings
/// and the whole token sequence, as with the keyed choice of the real engines.
///
/// The draft is calibrated: it lists tokens in slots whose probabilities it states, and the target's token
/// stands in a slot drawn with just these probabilities. The first slot's has the mean `agreement` and varies
/// from place to place, so entropy tells easy places from hard ones. Half of the rest goes to the second slot,
/// half of what then remains to the third, and so on.
public struct ScriptedModel: Hashable, Codable, Sendable {
  public var seed: UInt64
  /// At least 2. Token 0 ends the text.
  public var vocabularySize: Int
  /// How likely the target is to end the text at any place.
  public var endProbability: Double
  /// Mean probability that the draft's first guess is the target's choice.
  public var agreement: Double
  /// The draft never names the target's choice, whatever it claims.
  public var isMisleading: Bool

  public static let endToken: TokenID = 0

  public init(
    seed: UInt64, vocabularySize: Int = 20, endProbability: Double = 0.01, agreement: Double = 0.8,
    isMisleading: Bool = false
  ) {
    precondition(vocabularySize >= 2, "a scripted vocabulary needs an end and one other token")
    self.seed = seed
    self.vocabularySize = vocabularySize
    self.endProbability = endProbability
    self.agreement = agreement
    self.isMisleading = isMisleading
  }

  private enum Purpose {
    static let end: UInt64 = 1
    static let token: UInt64 = 2
    static let confidence: UInt64 = 3
    static let slot: UInt64 = 4
    static let fill: UInt64 = 5
  }

  /// The state after a token sequence; extend it with `append` for what follows.
  public func hash(_ tokens: [TokenID], sampling: SamplingSettings) -> SequenceHash {
    var hash = SequenceHash(seed: seed)
    // The seed means nothing to a greedy choice.
    hash.append(sampling.isGreedy ? 0 : sampling.seed &+ 1)
    hash.append(UInt64(sampling.temperature.bitPattern))
    for token in tokens { hash.append(UInt64(UInt32(bitPattern: token))) }
    return hash
  }

  /// The target's choice.
  public func choice(_ hash: SequenceHash) -> TokenID {
    if hash.uniform(Purpose.end) < endProbability { return Self.endToken }
    return 1 + TokenID(hash.uniform(Purpose.token) * Double(vocabularySize - 1))
  }

  /// The target's margin; small now and then, never negative.
  public func margin(_ hash: SequenceHash) -> Float { Float(hash.uniform(Purpose.token) * 8) }

  /// The draft's view of what follows, best first.
  public func distribution(_ hash: SequenceHash, candidates: Int) -> Distribution {
    let target = choice(hash)
    let spread = agreement * (1 - agreement)
    let first = min(max(agreement + spread * (2 * hash.uniform(Purpose.confidence) - 1), 0), 1)
    var draw = hash.uniform(Purpose.slot)
    var rest = 1.0
    var entropy = 0.0
    var slots: [Candidate] = []
    var filler = TokenID(hash.uniform(Purpose.fill) * Double(vocabularySize))
    var isPlaced = isMisleading
    // What is beyond 16 slots has less than 2^-15 of the probability.
    for slot in 0..<min(vocabularySize, 16) {
      let probability = slot == 0 ? first : rest / 2
      rest -= probability
      if probability > 0 { entropy -= probability * log(probability) }
      if !isPlaced && draw < probability {
        slots.append(Candidate(token: target, probability: Float(probability)))
        isPlaced = true
      } else {
        if filler == target { filler = next(filler) }
        slots.append(Candidate(token: filler, probability: Float(probability)))
        filler = next(filler)
      }
      draw -= probability
      // Every token but the target's is in a slot now.
      if slots.count == vocabularySize - 1 && (isMisleading || !isPlaced) { break }
    }
    let ranked = slots.enumerated().sorted { a, b in
      a.element.probability != b.element.probability
        ? a.element.probability > b.element.probability : a.offset < b.offset
    }
    return Distribution(
      entropy: Float(max(0, entropy)), candidates: ranked.prefix(max(1, candidates)).map(\.element))
  }

  private func next(_ token: TokenID) -> TokenID { (token + 1) % TokenID(vocabularySize) }

  /// What the target alone generates after a prompt: at most `maxTokens`, at most up to `contextLength` tokens
  /// with the prompt, at most up to an end token.
  public func plain(
    _ prompt: [TokenID], sampling: SamplingSettings, maxTokens: Int, contextLength: Int = .max
  ) -> [TokenID] {
    var hash = hash(prompt, sampling: sampling)
    var text: [TokenID] = []
    while text.count < maxTokens, prompt.count + text.count < contextLength {
      let token = choice(hash)
      text.append(token)
      if token == Self.endToken { break }
      hash.append(UInt64(UInt32(bitPattern: token)))
    }
    return text
  }

  /// The target's choice after the root and after every node of a tree whose parents precede their children.
  public func verdicts(
    prefix: [TokenID], tokens: [TokenID], parents: [Int32], sampling: SamplingSettings
  ) -> [(token: TokenID, margin: Float)] {
    let root = hash(prefix, sampling: sampling)
    var hashes: [SequenceHash] = []
    for (token, parent) in zip(tokens, parents) {
      var hash = parent < 0 ? root : hashes[Int(parent)]
      hash.append(UInt64(UInt32(bitPattern: token)))
      hashes.append(hash)
    }
    return ([root] + hashes).map { (choice($0), margin($0)) }
  }

  /// The draft's view after a path below a prefix.
  public func distribution(
    prefix: [TokenID], path: [TokenID], sampling: SamplingSettings, candidates: Int
  ) -> Distribution {
    var hash = hash(prefix, sampling: sampling)
    for token in path { hash.append(UInt64(UInt32(bitPattern: token))) }
    return distribution(hash, candidates: candidates)
  }
}
