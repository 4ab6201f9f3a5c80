/// Penalties and biases: functions of the text so far, so every party computes them alike.
///
/// They apply in the order bias, repetition, presence and frequency. Meanings are those of vLLM and of the OpenAI
/// API: repetition looks at the prompt and the generated text, presence and frequency at the generated text only.
public struct LogitAdjustments: Hashable, Sendable {
  /// Added to the logit of a token.
  public struct Bias: Hashable, Sendable {
    public var token: TokenID
    public var value: Float

    public init(token: TokenID, value: Float) {
      self.token = token
      self.value = value
    }
  }

  /// Biases that one request may bring. As many as the OpenAI API allows.
  public static let maxBiases = 1024

  /// Tokens before this position are the prompt.
  public var promptLength: Int32
  /// A logit of a token that has occurred is divided by it when positive, multiplied when negative; 1 is off.
  public var repetition: Float
  /// Taken once from a token that has been generated; 0 is off.
  public var presence: Float
  /// Taken for each time that a token has been generated; 0 is off.
  public var frequency: Float
  /// Ascending by token, each once.
  public var biases: [Bias]

  public init(
    promptLength: Int32, repetition: Float = 1, presence: Float = 0, frequency: Float = 0, biases: [Bias] = []
  ) {
    self.promptLength = promptLength
    self.repetition = repetition
    self.presence = presence
    self.frequency = frequency
    self.biases = biases
  }

  /// Whether the text so far matters: without penalties the biases alone are the same at every position.
  public var hasPenalties: Bool { repetition != 1 || presence != 0 || frequency != 0 }

  /// The first thing wrong, as a sentence that names the setting; nil when all is valid.
  public var problem: String? {
    if promptLength < 0 { return "prompt length must be 0 or more, not \(promptLength)" }
    if !repetition.isFinite || repetition <= 0 || repetition > 10 {
      return "repetition penalty must be above 0 and at most 10, not \(repetition)"
    }
    if !presence.isFinite || abs(presence) > 10 {
      return "presence penalty must be between -10 and 10, not \(presence)"
    }
    if !frequency.isFinite || abs(frequency) > 10 {
      return "frequency penalty must be between -10 and 10, not \(frequency)"
    }
    if biases.count > Self.maxBiases {
      return "at most \(Self.maxBiases) logit biases are possible, not \(biases.count)"
    }
    for (index, bias) in biases.enumerated() {
      if !bias.value.isFinite || abs(bias.value) > 1000 {
        return "logit bias of token \(bias.token) must be between -1000 and 1000, not \(bias.value)"
      }
      if bias.token < 0 { return "logit bias names token \(bias.token), which is below 0" }
      if index > 0, biases[index - 1].token >= bias.token {
        return "logit biases must be in ascending order of distinct tokens"
      }
    }
    return nil
  }
}
