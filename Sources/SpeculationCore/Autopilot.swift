/// The settings that hold unless somebody sets others by hand. They need no tuning, and nobody needs to be told how
/// far away or how fast the other end is.
///
/// The tuning is in the machines, which follow what they measure themselves: `DraftLimits.width` fits a pass to d(b),
/// best-first order looks as far ahead as is likely to be of use, cost-aware verification fits the set to T(n),
/// `SpeculationGate` stops what does not pay, `MatchEstimator` corrects the draft. What is left are the limits within
/// which they work, and here they are as wide as can be of use: at no round trip, T or d that was simulated did
/// narrower ones give a faster text (`Scenarios/defaults.yaml`).
public enum Autopilot {
  /// Of a drafter, at a worker or locally.
  public static let limits = DraftLimits(
    passWidth: 64, candidates: 6, minProbability: 0.001, minPathProbability: 0.001, maxDepth: 256,
    // What a controller holds for each drafter; a full tree gives up its least likely nodes.
    maxNodes: 4096)

  /// Guesses that one target pass checks. T(n) mostly makes it fewer.
  static let verification = VerificationPolicy(rule: .costAware, maxNodes: 64, minPathProbability: 0.0005)

  /// Guesses in a row from the text itself. They cost no pass, and those that do not come true are learned from.
  static let lookupLength = 8

  /// Any gain is a gain, since verification already weighs what it costs; but where nothing that was drafted has
  /// been of use for some forty steps, drafting rests for a while.
  static let leastGain = 1.001

  /// How a generation speculates with workers.
  ///
  /// - Parameter localPolicy: what may be drafted locally: the operator's choice, not a matter of tuning
  public static func settings(localPolicy: LocalDraftPolicy = .never) -> SpeculationSettings {
    .wideArea(
      localPolicy: localPolicy, verification: verification, limits: limits, lookupLength: lookupLength,
      minGain: leastGain)
  }

  /// How a generation speculates with a draft model beside the target and nobody else.
  public static var localSettings: SpeculationSettings {
    var settings = settings(localPolicy: .always)
    settings.usesWorkers = false
    return settings
  }
}
