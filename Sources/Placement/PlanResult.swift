/// What a plan came to.
public struct PlanResult: Sendable, Codable {
  public struct Interval: Sendable, Codable, Hashable {
    public var low: Double
    public var high: Double
  }

  /// One controller and one worker at one hour.
  public struct Hour: Sendable, Codable {
    /// UTC; nil where all hours are the same.
    public var hour: Int?
    public var roundTripMilliseconds: Double
    public var millisecondsPerToken: Double
    /// Plain decoding, and the fastest way of drafting locally.
    public var plainMillisecondsPerToken: Double
    public var localMillisecondsPerToken: Double
    /// What that way is: "local sequential, 5 guesses".
    public var localMethod: String
    /// Speed against drafting locally, and against plain decoding.
    public var ratio: Double
    /// Of `ratio`, 95%, over texts such as those simulated; nil for fewer than 8 texts.
    public var ratioInterval: Interval?
    public var speedup: Double
    /// Share of the local draft passes that leave the site; 0 for a worker at the same site.
    public var moved: Double
    /// Draft passes that are still made beside the target, for each token.
    public var localPassesPerToken: Double
    public var timeToFirstTokenMilliseconds: Double
    /// Both directions, on the wire.
    public var bytesPerToken: Double
  }

  public enum Verdict: String, Sendable, Codable {
    /// The best for its controller.
    case recommended
    case works
    case notWorthIt = "not worth it"
  }

  public struct Pair: Sendable, Codable {
    public var controller: String
    public var worker: String
    /// The day's median.
    public var roundTripMilliseconds: Double
    public var origin: RoundTrips.Origin
    /// One for the whole day, or 24.
    public var hours: [Hour]
    /// Means over the day.
    public var millisecondsPerToken: Double
    public var localMillisecondsPerToken: Double
    public var plainMillisecondsPerToken: Double
    public var moved: Double
    /// Speed against drafting locally, over the day.
    public var ratio: Double
    public var ratioInterval: Interval?
    /// Hours (UTC) in which drafting locally is faster by more than the tolerance.
    public var slowHours: [Int]
    public var verdict: Verdict
    /// Why, in words.
    public var reason: String
    /// Among the worker sites that are worth it for this controller, from 1.
    public var rank: Int?
    /// Against drafting locally, at the sites' prices; nil without prices.
    public var usdSavedPerMillionTokens: Double?
    public var usdSavedPerYear: Double?

    public var isSameSite: Bool { controller == worker }
  }

  /// What a study measured between two sites and cannot be true, so that it is not used (see `RoundTripCheck`).
  public struct FalseRoundTrip: Sendable, Codable, Hashable {
    public var source: String
    public var region: String
    /// The median, and what light in fibre needs.
    public var milliseconds: Double
    public var shortestPossibleMilliseconds: Double
  }

  public var name: String
  /// How much slower than drafting locally was taken for worth it, as a share.
  public var tolerance: Double
  public var controllers: [String]
  public var workers: [String]
  /// In the order of controller, then worker.
  public var pairs: [Pair]
  /// Simulations that were run for it.
  public var simulations: Int
  public var falseRoundTrips: [FalseRoundTrip] = []

  public func pair(_ controller: String, _ worker: String) -> Pair? {
    pairs.first { $0.controller == controller && $0.worker == worker }
  }

  /// The worker sites that are worth it for a controller, the best first.
  public func ranked(_ controller: String) -> [Pair] {
    pairs.filter { $0.controller == controller && $0.rank != nil }.sorted { ($0.rank ?? 0) < ($1.rank ?? 0) }
  }
}
