package enum CommittedLogprobs {
  /// The log-probabilities of the tokens that a pass decides: the choice after the root, then the choice after the
  /// node that guessed it, and so on to the first choice that nobody guessed.
  ///
  /// O(draft). Empty where the choices have none.
  package static func along(_ choices: [TargetChoice], of draft: DraftTree) -> [TokenLogprobs] {
    guard choices.count == draft.count + 1 else { return [] }
    var result: [TokenLogprobs] = []
    var at = -1
    // A node's children come after it.
    var next = 0
    while let logprobs = choices[at + 1].logprobs {
      result.append(logprobs)
      let token = choices[at + 1].token
      while next < draft.count, Int(draft.parents[next]) != at || draft.tokens[next] != token { next += 1 }
      if next == draft.count { break }
      at = next
    }
    return result
  }
}
