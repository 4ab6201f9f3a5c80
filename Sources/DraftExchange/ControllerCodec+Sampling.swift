import SpeculationCore

extension ControllerCodec {
  func checkOwn(_ adjustments: LogitAdjustments) throws(FieldViolation) {
    try FieldChecks.require(
      Int(adjustments.promptLength) <= limits.maximumContextLength, "sampling.adjustments.prompt_length",
      "is \(adjustments.promptLength): at most \(limits.maximumContextLength) is allowed")
    try FieldChecks.count(
      adjustments.biases.count, atMost: limits.maximumBiases, "sampling.adjustments.biased_tokens")
    if let last = adjustments.biases.last, Int(last.token) >= vocabularySize {
      throw FieldViolation(
        field: "sampling.adjustments.biased_tokens",
        problem: "has token \(last.token): the vocabulary has \(vocabularySize) tokens")
    }
  }

  static func wire(_ sampling: SamplingSettings) -> Wanspec_V1_Sampling {
    .with {
      $0.temperature = sampling.temperature
      $0.topK = UInt32(clamping: sampling.topK)
      $0.topP = sampling.topP
      $0.minP = sampling.minP
      $0.seed = sampling.seed
      if let adjustments = sampling.adjustments { $0.adjustments = wire(adjustments) }
    }
  }

  private static func wire(_ adjustments: LogitAdjustments) -> Wanspec_V1_Adjustments {
    .with {
      $0.promptLength = UInt32(clamping: adjustments.promptLength)
      $0.repetition = adjustments.repetition
      $0.presence = adjustments.presence
      $0.frequency = adjustments.frequency
      $0.biasedTokens = adjustments.biases.map { UInt32(bitPattern: $0.token) }
      $0.biases = adjustments.biases.map(\.value)
    }
  }

  func read(
    _ sampling: Wanspec_V1_Sampling, _ field: @autoclosure () -> String
  ) throws(FieldViolation) -> SamplingSettings {
    try FieldChecks.require(
      sampling.topK <= UInt32(Int32.max), "\(field()).top_k",
      "is \(sampling.topK): at most \(Int32.max) is allowed")
    var settings = SamplingSettings(
      temperature: sampling.temperature, topK: Int32(sampling.topK), topP: sampling.topP,
      minP: sampling.minP, seed: sampling.seed)
    if sampling.hasAdjustments {
      settings.adjustments = try read(sampling.adjustments, "\(field()).adjustments")
    }
    if let problem = settings.problem {
      throw FieldViolation(field: field(), problem: "is invalid: \(problem)")
    }
    return settings
  }

  private func read(
    _ adjustments: Wanspec_V1_Adjustments, _ field: @autoclosure () -> String
  ) throws(FieldViolation) -> LogitAdjustments {
    try FieldChecks.require(
      Int(adjustments.promptLength) <= limits.maximumContextLength, "\(field()).prompt_length",
      "is \(adjustments.promptLength): at most \(limits.maximumContextLength) is allowed")
    try FieldChecks.count(
      adjustments.biasedTokens.count, atMost: limits.maximumBiases, "\(field()).biased_tokens")
    try FieldChecks.require(
      adjustments.biases.count == adjustments.biasedTokens.count, "\(field()).biases",
      "has \(adjustments.biases.count) entries for \(adjustments.biasedTokens.count) biased tokens")
    let tokens = try FieldChecks.tokens(
      adjustments.biasedTokens, vocabularySize: vocabularySize, "\(field()).biased_tokens")
    return LogitAdjustments(
      promptLength: Int32(adjustments.promptLength), repetition: adjustments.repetition,
      presence: adjustments.presence, frequency: adjustments.frequency,
      biases: zip(tokens, adjustments.biases).map { LogitAdjustments.Bias(token: $0, value: $1) })
  }
}
