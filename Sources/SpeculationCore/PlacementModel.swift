/// What a worker's distance and speed do to the time per token of a session.
///
/// Text falls into runs of guesses that are right, each ended by one that is not. At the end of a run news of the
/// right token has to reach the worker and the first guess below it to come back; meanwhile the target decodes
/// plainly. During a run tokens cannot be committed faster than they are drafted, one level in d. So a cycle takes
///
///     T + news + run * max(d, T / 16)      and yields      run + 1 + news / T      tokens,
///
/// where `news` is the round trip and one draft pass. Crude, but right where it matters: it is T for a worker that
/// is infinitely far or always wrong, and orders workers by distance, speed, load and how well they guess.
package struct PlacementModel {
  /// T(1).
  package var targetSeconds: Double

  package init(targetSeconds: Double) { self.targetSeconds = targetSeconds }

  /// Tokens that one target pass checks in a row at most, for the least time per token.
  private static let longestSet = 16.0

  /// - Parameters:
  ///   - roundTrip: to the worker, in seconds
  ///   - draftSeconds: for one more level of every session that the worker drafts for
  ///   - runLength: guesses in a row that are right, on average
  func secondsPerToken(roundTrip: Double, draftSeconds: Double, runLength: Double) -> Double {
    let news = roundTrip + draftSeconds
    let time = targetSeconds + news + runLength * max(draftSeconds, targetSeconds / Self.longestSet)
    return time / (runLength + 1 + news / targetSeconds)
  }

  /// The run length that would explain a share of committed tokens that were foreseen.
  func runLength(foreseenShare: Double, news: Double) -> Double {
    let share = min(max(foreseenShare, 0), 0.98)
    return share * (1 + news / targetSeconds) / (1 - share)
  }
}

/// How many of a session's tokens a worker had named before they were committed.
struct GuessRecord: Hashable, Sendable {
  private var foreseen = 0.0
  private var tokens = 0.0

  /// Tokens after which older ones fade.
  private static let memory = 500.0
  /// Tokens that what was assumed counts for.
  private static let priorTokens = 40.0
  /// Four guesses in five are right.
  private static let assumedRun = 4.0

  mutating func observe(foreseen new: Double, tokens count: Int) {
    foreseen += min(new, Double(count))
    tokens += Double(count)
    if tokens > Self.memory {
      foreseen *= Self.memory / tokens
      tokens = Self.memory
    }
  }

  /// Guesses in a row that are right, on average.
  ///
  /// - Parameters:
  ///   - news: from a committed token to the first guess that knows of it, in seconds
  ///   - prior: what is expected of a worker that has shown nothing; nil for the general assumption, below which it does
  ///     not count: what one worker made of a model must not keep others with it from being tried
  func runLength(news: Double, _ model: PlacementModel, prior: Double?) -> Double {
    let assumed = max(prior ?? 0, Self.assumedRun)
    let seen = tokens > 0 ? model.runLength(foreseenShare: foreseen / tokens, news: news) : assumed
    return (seen * tokens + assumed * Self.priorTokens) / (tokens + Self.priorTokens)
  }
}
