/// Settings that need no tuning, from what has been measured: round trip, T(n), d(b).
///
/// Most of the tuning is in the machines, which follow their own measurements: `DraftLimits.width` fits a pass to
/// d(b), cost-aware verification fits the set to T(n), `SpeculationGate` stops what does not pay,
/// `MatchEstimator` corrects the draft. What is left are the limits within which they work, and here they are set
/// as wide as can be of use.
public enum Autopilot {
  /// Limits of a drafter, at a worker or at home.
  ///
  /// - Parameters:
  ///   - draftCost: d(b)
  ///   - targetCost: T(n); unknown at a worker that has not been told
  ///   - roundTrip: to the controller; zero at home
  public static func limits(
    draftCost: CostCurve, targetCost: CostCurve = CostCurve(), roundTrip: Duration = .zero
  ) -> DraftLimits {
    DraftLimits(
      passWidth: 32, candidates: 8, minProbability: 0.001, minPathProbability: 0.001,
      maxDepth: lookahead(draftCost: draftCost, targetCost: targetCost, roundTrip: roundTrip),
      // Below what a controller holds for each drafter.
      maxNodes: 3072)
  }

  /// How far below the root a guess can be of use.
  ///
  /// When an expansion arrives, its sender's news of the root is one round trip old, and the target has been at
  /// work on the next step meanwhile. It cannot have gone further than drafts were made, one level in d(1). Half
  /// as much again leaves room for delays, and eight levels for a chain that one step commits at once.
  static func lookahead(draftCost: CostCurve, targetCost: CostCurve, roundTrip: Duration) -> Int {
    guard let single = draftCost.seconds(for: 1) else { return 64 }
    let ahead = roundTrip.inSeconds + 2 * (targetCost.seconds(for: 1) ?? 0.05)
    return min(max(8 + Int((1.5 * ahead / single).rounded(.up)), 16), 256)
  }

  /// Any gain is a gain, since verification already weighs what it costs; but where nothing that was drafted has
  /// been of use for some forty steps, drafting rests for a while.
  static let leastGain = 1.001

  /// How a generation speculates.
  ///
  /// - Parameters:
  ///   - homePolicy: what may be drafted at home: the operator's choice, not a matter of tuning
  ///   - homeCost: d(b) of the draft model at home; nil when there is none
  public static func settings(
    targetCost: CostCurve, homeCost: CostCurve?, homePolicy: HomeDraftPolicy = .never
  ) -> SpeculationSettings {
    .wideArea(
      homePolicy: homeCost == nil ? .never : homePolicy,
      verification: VerificationPolicy(rule: .costAware, maxNodes: 32, minPathProbability: 0.001),
      limits: homeCost.map { limits(draftCost: $0, targetCost: targetCost) } ?? DraftLimits(),
      lookupLength: 8,
      minGain: leastGain)
  }
}
