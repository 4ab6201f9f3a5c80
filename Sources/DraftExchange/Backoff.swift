import SpeculationCore
import SplitMix

/// How long a worker waits before it dials again: `initial`, then `multiplier` times as long after each
/// attempt, up to `maximum`, every wait shortened at random by up to half so that the workers of a restarted
/// controller do not come back in step.
public struct Backoff: Hashable, Sendable {
  public var initial: Duration
  public var maximum: Duration
  public var multiplier: Double
  /// A connection that lived for this long counts as good: the next wait is the initial one.
  public var resetAfter: Duration
  /// Of the random part. The same seed gives the same waits.
  public var seed: UInt64

  public init(
    initial: Duration = .milliseconds(100), maximum: Duration = .seconds(5), multiplier: Double = 2,
    resetAfter: Duration = .seconds(10), seed: UInt64 = 0
  ) {
    self.initial = initial
    self.maximum = maximum
    self.multiplier = multiplier
    self.resetAfter = resetAfter
    self.seed = seed
  }

  /// The first thing wrong with these settings; nil when they are valid.
  var problem: String? {
    if initial <= .zero { return "back-off must start above zero, not at \(initial)" }
    if maximum < initial { return "back-off must end at \(initial) or more, not at \(maximum)" }
    if !multiplier.isFinite || multiplier < 1 {
      return "back-off multiplier must be 1 or more, not \(multiplier)"
    }
    return nil
  }
}

/// The waits of one worker, in turn.
package struct BackoffSequence: Sendable {
  private let settings: Backoff
  private var base: Duration
  private var random: SplitMix64

  package init(_ settings: Backoff) {
    self.settings = settings
    base = settings.initial
    random = SplitMix64(seed: settings.seed)
  }

  /// - Parameter lived: how long the connection lasted that has just ended; zero when there was none
  package mutating func next(afterConnectionOf lived: Duration) -> Duration {
    if lived >= settings.resetAfter { base = settings.initial }
    let wait = base * (0.5 + 0.5 * random.uniform())
    base = min(settings.maximum, .init(inSeconds: base.inSeconds * settings.multiplier))
    return wait
  }
}
