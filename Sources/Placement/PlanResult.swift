/// What a plan came to.
public struct PlanResult: Sendable, Codable {
  /// One controller and one worker at one hour.
  public struct Hour: Sendable, Codable {
    /// UTC; nil where the round trip is the same all day.
    public var hour: Int?
    public var roundTripMilliseconds: Double
    public var millisecondsPerToken: Double
    /// Plain decoding, and the faster way of drafting at home.
    public var plainMillisecondsPerToken: Double
    public var localMillisecondsPerToken: Double
    /// Speed against drafting at home, and against plain decoding.
    public var ratio: Double
    public var speedup: Double
    /// Share of the draft passes at home that went away.
    public var moved: Double
    public var timeToFirstTokenMilliseconds: Double
    public var bytesPerToken: Double
  }

  public enum Verdict: String, Sendable, Codable {
    case recommended, works
    case notWorthIt = "not worth it"
  }

  public struct Pair: Sendable, Codable {
    public var controller: String
    public var worker: String
    public var roundTripMilliseconds: Double
    public var origin: RoundTrips.Origin
    /// One for the whole day, or 24.
    public var hours: [Hour]
    public var verdict: Verdict
    public var reason: String
    /// Against drafting at home, at the sites' prices; nil without prices.
    public var usdSavedPerMillionTokens: Double?
    public var usdSavedPerYear: Double?

    func mean(_ value: (Hour) -> Double) -> Double { hours.reduce(0) { $0 + value($1) } / Double(hours.count) }
    /// Over the day.
    public var millisecondsPerToken: Double { mean(\.millisecondsPerToken) }
    public var localMillisecondsPerToken: Double { mean(\.localMillisecondsPerToken) }
    public var plainMillisecondsPerToken: Double { mean(\.plainMillisecondsPerToken) }
    public var ratio: Double { localMillisecondsPerToken / millisecondsPerToken }
    public var moved: Double { mean(\.moved) }
    /// Hours in which drafting at home is faster by more than the tolerance.
    public var slowHours: [Int]
  }

  public var name: String
  public var controllers: [String]
  public var workers: [String]
  /// In the order of controller, then worker.
  public var pairs: [Pair]
  /// Simulations that were run for it.
  public var simulations: Int

  public func pair(_ controller: String, _ worker: String) -> Pair? {
    pairs.first { $0.controller == controller && $0.worker == worker }
  }
}
