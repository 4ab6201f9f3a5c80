/// How a token is chosen from a model's logits.
///
/// The choice is a deterministic function of the logits, these settings and the position (design:
/// "Why the text cannot change"), so the controller, its draft model and every worker agree on the noise.
public struct SamplingSettings: Hashable, Sendable {
  /// 0 chooses the most likely token. Otherwise logits are divided by it before noise is added.
  public var temperature: Float
  /// Keep only the `topK` most likely tokens; 0 keeps all.
  public var topK: Int32
  /// Keep the smallest set of most likely tokens whose probabilities reach `topP`; 1 keeps all.
  public var topP: Float
  /// Keep tokens at least `minP` times as likely as the most likely one; 0 keeps all.
  public var minP: Float
  /// Key of the noise. Unused when `temperature` is 0.
  public var seed: UInt64
  /// What is added to or taken from logits before anything else looks at them; nil leaves them as they are.
  public var adjustments: LogitAdjustments?

  public init(
    temperature: Float = 0, topK: Int32 = 0, topP: Float = 1, minP: Float = 0, seed: UInt64 = 0,
    adjustments: LogitAdjustments? = nil
  ) {
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
    self.minP = minP
    self.seed = seed
    self.adjustments = adjustments
  }

  public static let greedy = SamplingSettings()

  public var isGreedy: Bool { temperature == 0 }

  /// The first thing wrong with these settings, as a sentence that names the setting; nil when they are valid.
  public var problem: String? {
    if !temperature.isFinite || temperature < 0 || temperature > 100 {
      return "temperature must be between 0 and 100, not \(temperature)"
    }
    if topK < 0 { return "top-k must be 0 (off) or more, not \(topK)" }
    if !topP.isFinite || topP <= 0 || topP > 1 { return "top-p must be above 0 and at most 1, not \(topP)" }
    if !minP.isFinite || minP < 0 || minP > 1 { return "min-p must be between 0 and 1, not \(minP)" }
    return adjustments?.problem
  }
}
