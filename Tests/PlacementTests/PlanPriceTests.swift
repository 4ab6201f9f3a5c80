import Placement
import Testing

@Suite struct PlanPriceTests {
  static func plan(_ near: String, extra: String = "") async throws -> PlanResult {
    try await Plans.result(
      """
      sites:
      - {region: us-east-1, controller: true, worker: true, target-price: 20, draft-price: 4}
      - {region: us-east-2, worker: true, draft-price: \(near)}
      - {region: ca-central-1, worker: true, draft-price: 0.5}
      - {region: ap-south-1, worker: true, draft-price: 0.1}
      rtt: {us-east-1: {us-east-2: 10ms, ca-central-1: 20ms, ap-south-1: 300ms}}
      tokens-per-second: 100
      \(extra)
      """)
  }

  @Test func savesWhatIsNoLongerHeld() async throws {
    let pair = try #require(try await Self.plan("1").pair("us-east-1", "us-east-2"))
    // Dollars an hour over tokens an hour, written out: nothing is drafted locally any more.
    let local = (20.0 + 4) / (3_600_000 / pair.localMillisecondsPerToken) * 1e6
    let wan = (20.0 + 1) / (3_600_000 / pair.millisecondsPerToken) * 1e6
    let saved = try #require(pair.usdSavedPerMillionTokens)
    #expect(pair.moved == 1)
    #expect(abs(saved - (local - wan)) < 1e-6)
    let year = try #require(pair.usdSavedPerYear)
    #expect(abs(year - saved / 1e6 * 100 * 365.25 * 86_400) < 1e-6)
  }

  @Test func whatIsStillDraftedAtLocalCosts() async throws {
    let drafting = try await Plans.result(
      """
      sites:
      - region: us-east-1
        controller: true
        target-price: 20
        draft-price: 4
        controller-changes: {controller: {policy: always}}
      - {region: us-east-2, worker: true, draft-price: 1}
      rtt: {us-east-1: {us-east-2: 10ms}}
      """)
    let both = try #require(drafting.pairs.first)
    #expect(both.moved < 0.9)
    let wan = (20 + 4 * (1 - both.moved) + 1) * both.millisecondsPerToken / 3.6
    let local = 24 * both.localMillisecondsPerToken / 3.6
    #expect(abs((both.usdSavedPerMillionTokens ?? 0) - (local - wan)) < 1e-6)
    #expect(both.usdSavedPerYear == nil, "nobody said how much is written")
  }

  @Test func theCheapestIsRecommendedNotTheFastest() async throws {
    let result = try await Self.plan("3.5")
    #expect(result.ranked("us-east-1").map(\.worker).first == "ca-central-1")
    #expect(result.pair("us-east-1", "ca-central-1")?.verdict == .recommended)
    #expect(result.pair("us-east-1", "us-east-2")?.verdict == .works)
    #expect(result.pair("us-east-1", "ap-south-1")?.verdict == .notWorthIt)
    #expect(result.ranked("us-east-1").compactMap(\.rank) == Array(1...result.ranked("us-east-1").count))
  }

  @Test func whatCostsMoreIsNotWorthIt() async throws {
    let pair = try #require(try await Self.plan("60").pair("us-east-1", "us-east-2"))
    #expect(pair.verdict == .notWorthIt && pair.reason.contains("but dearer by"))
  }

  /// Sessions side by side share what is paid for.
  @Test func sessionsShareTheCost() async throws {
    let (one, two) = (try await Self.plan("1"), try await Self.plan("1", extra: "sessions: 2"))
    let (a, b) = (
      try #require(one.pair("us-east-1", "us-east-2")), try #require(two.pair("us-east-1", "us-east-2"))
    )
    func expected(_ pair: PlanResult.Pair, _ sessions: Double) -> Double {
      (24 * pair.localMillisecondsPerToken - 21 * pair.millisecondsPerToken) / 3.6 / sessions
    }
    #expect(abs((a.usdSavedPerMillionTokens ?? 0) - expected(a, 1)) < 1e-6)
    #expect(abs((b.usdSavedPerMillionTokens ?? 0) - expected(b, 2)) < 1e-6)
  }
}
