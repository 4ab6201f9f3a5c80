import ModelBackend

extension GenerationRequest {
  /// What is wrong with the log-probabilities asked for, as a sentence; nil when they are valid.
  ///
  /// Checked before the engine sees them: a request that it refuses fails a pass for all sessions in it.
  var outputProblem: String? {
    if let count = logprobs, !(0...TokenLogprobs.maxTop).contains(count) {
      return "between 0 and \(TokenLogprobs.maxTop) log-probabilities can be asked for, not \(count)"
    }
    return nil
  }
}
