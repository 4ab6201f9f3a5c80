/// How one generation speculates. The baselines are settings of the same machine.
public struct SpeculationSettings: Sendable {
  public var verification: VerificationPolicy
  public var homePolicy: HomeDraftPolicy
  public var homeSchedule: HomeDraftSchedule
  public var homeLimits: DraftLimits
  /// Guesses in a row that are taken from the text itself; 0: none.
  public var lookupLength: Int
  /// Speed against plain decoding below which nobody drafts for a while; 0: always draft. The baselines of the
  /// literature always do.
  public var minGain: Double
  /// Whether attached workers draft for this generation.
  public var usesWorkers: Bool

  public init(
    verification: VerificationPolicy = VerificationPolicy(), homePolicy: HomeDraftPolicy = .never,
    homeSchedule: HomeDraftSchedule = .overlapped, homeLimits: DraftLimits = DraftLimits(),
    lookupLength: Int = 0, minGain: Double = 0, usesWorkers: Bool = true
  ) {
    self.verification = verification
    self.homePolicy = homePolicy
    self.homeSchedule = homeSchedule
    self.homeLimits = homeLimits
    self.lookupLength = lookupLength
    self.minGain = minGain
    self.usesWorkers = usesWorkers
  }

  /// Drafting that makes a text less than this much faster is not worth the workers' while.
  public static let defaultMinGain = 1.1

  /// Guesses before each verification in the sequential baseline, unless somebody says how many.
  public static let defaultDraftLength = 5

  /// The target alone.
  public static var plain: Self {
    Self(verification: VerificationPolicy(maxNodes: 0), usesWorkers: false)
  }

  /// Draft `length` tokens at home, then verify them all, nothing at the same time.
  public static func localSequential(length: Int) -> Self {
    Self(
      verification: VerificationPolicy(rule: .everything, maxNodes: length, minPathProbability: 0),
      homePolicy: .always, homeSchedule: .beforeVerification(length: length),
      homeLimits: DraftLimits(
        passWidth: 1, candidates: 1, minProbability: 0, minPathProbability: 0, maxDepth: length),
      usesWorkers: false)
  }

  /// Draft at home while the target verifies.
  public static func localParallel(
    verification: VerificationPolicy = VerificationPolicy(), limits: DraftLimits = DraftLimits()
  ) -> Self {
    Self(verification: verification, homePolicy: .always, homeLimits: limits, usesWorkers: false)
  }

  /// Workers draft; at home only what `homePolicy` asks for.
  public static func wideArea(
    homePolicy: HomeDraftPolicy = .never, verification: VerificationPolicy = VerificationPolicy(),
    limits: DraftLimits = DraftLimits(), lookupLength: Int = 0, minGain: Double = defaultMinGain
  ) -> Self {
    Self(
      verification: verification, homePolicy: homePolicy, homeLimits: limits, lookupLength: lookupLength,
      minGain: minGain, usesWorkers: true)
  }
}
