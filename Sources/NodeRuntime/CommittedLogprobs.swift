import ModelBackend

/// Log-probabilities of the tokens that a pass decided: those of the choices on the way from the root down the
/// verified guesses. At least as many as tokens are committed, which may end earlier.
package func committedLogprobs(_ choices: [TargetChoice], of draft: DraftTree) -> [TokenLogprobs] {
  var result: [TokenLogprobs] = []
  var node = -1
  while true {
    let choice = choices[node + 1]
    if let logprobs = choice.logprobs { result.append(logprobs) }
    // Children come after their parents.
    var child = node + 1
    while child < draft.count, Int(draft.parents[child]) != node || draft.tokens[child] != choice.token {
      child += 1
    }
    guard child < draft.count else { return result }
    node = child
  }
}
