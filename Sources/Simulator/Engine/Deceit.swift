import SpeculationCore

/// A worker that keeps every rule of the protocol and means no good. What breaks rules is in the fault runs.
public enum Deceit: Hashable, Sendable {
  /// After so many expansions every guess is wrong, and said as surely as a right one.
  case wrongGuesses(after: Int)
  /// Wrong and right by turns, so many expansions each.
  case wrongByTurns(Int)
  /// The right token is named, as hardly likely, behind a wrong one that is said to be certain: what is counted as
  /// foreseen looks well.
  case buriedGuesses
  /// The right token is always named, as one of so many that are said to be alike.
  case hedgedGuesses(Int)
  /// After so many expansions it says nothing more, and answers pings.
  case silence(after: Int)
  /// Each answer is held back by so long, pings are not.
  case lateAnswers(Duration)

  /// What the worker says instead of what its model says.
  func spoil(_ honest: Distribution, expansion: Int, vocabularySize: Int) -> Distribution {
    switch self {
    case .silence, .lateAnswers: honest
    case .wrongGuesses(let after): expansion < after ? honest : wrong(honest, vocabularySize)
    case .wrongByTurns(let length): expansion / length % 2 == 0 ? honest : wrong(honest, vocabularySize)
    case .buriedGuesses: buried(honest, vocabularySize)
    case .hedgedGuesses(let count): hedged(honest, count, vocabularySize)
    }
  }

  private func wrong(_ honest: Distribution, _ vocabularySize: Int) -> Distribution {
    var lie = honest
    for index in lie.candidates.indices {
      lie.candidates[index].token = other(than: lie.candidates[index].token, vocabularySize)
    }
    return lie
  }

  private func buried(_ honest: Distribution, _ vocabularySize: Int) -> Distribution {
    guard let best = honest.candidates.first else { return honest }
    return Distribution(
      entropy: 0.1,
      candidates: [
        Candidate(token: other(than: best.token, vocabularySize), probability: 0.95),
        Candidate(token: best.token, probability: 0.001),
      ])
  }

  private func hedged(_ honest: Distribution, _ count: Int, _ vocabularySize: Int) -> Distribution {
    guard let best = honest.candidates.first else { return honest }
    let share = 1 / Float(count + 1)
    let others = (0..<count).map { index in
      Candidate(token: TokenID((Int(best.token) + 1 + index) % vocabularySize), probability: share)
    }
    var candidates = others
    candidates.insert(Candidate(token: best.token, probability: share), at: Int(best.token) % (count + 1))
    return Distribution(entropy: 3, candidates: candidates)
  }

  private func other(than token: TokenID, _ vocabularySize: Int) -> TokenID {
    TokenID((Int(token) + vocabularySize / 2) % vocabularySize)
  }
}
