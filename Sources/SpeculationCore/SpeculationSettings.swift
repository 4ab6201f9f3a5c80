/// How one generation speculates. The baselines are settings of the same machine.
public struct SpeculationSettings: Sendable {
  public var verification: VerificationPolicy
  public var localPolicy: LocalDraftPolicy
  public var localSchedule: LocalDraftSchedule
  public var localLimits: DraftLimits
  /// Guesses in a row that are taken from the text itself; 0: none.
  public var lookupLength: Int
  /// Speed against plain decoding below which nobody drafts for a while; 0: always draft. The baselines of the
  /// literature always do.
  public var minGain: Double
  /// Whether attached workers draft for this generation.
  public var usesWorkers: Bool

  public init(
    verification: VerificationPolicy = VerificationPolicy(), localPolicy: LocalDraftPolicy = .never,
    localSchedule: LocalDraftSchedule = .overlapped, localLimits: DraftLimits = DraftLimits(),
    lookupLength: Int = 0, minGain: Double = 0, usesWorkers: Bool = true
  ) {
    self.verification = verification
    self.localPolicy = localPolicy
    self.localSchedule = localSchedule
    self.localLimits = localLimits
    self.lookupLength = lookupLength
    self.minGain = minGain
    self.usesWorkers = usesWorkers
  }

  /// Drafting that makes a text less than this much faster is not worth the workers' while.
  public static let defaultMinGain = 1.1

  /// What the settings may be.
  public static let draftLengths = 1...64
  public static let lookupLengths = 0...64
  public static let minGains = 0.0...100

  /// Guesses before each verification in the sequential baseline, unless somebody says how many.
  public static let defaultDraftLength = 5

  /// The target alone.
  public static var plain: Self {
    Self(verification: VerificationPolicy(maxNodes: 0), usesWorkers: false)
  }

  /// Draft `length` tokens locally, then verify them all, nothing at the same time.
  public static func localSequential(length: Int) -> Self {
    Self(
      verification: VerificationPolicy(rule: .everything, maxNodes: length, minPathProbability: 0),
      localPolicy: .always, localSchedule: .beforeVerification(length: length),
      localLimits: DraftLimits(
        passWidth: 1, candidates: 1, minProbability: 0, minPathProbability: 0, maxDepth: length),
      usesWorkers: false)
  }

  /// Draft locally while the target verifies.
  public static func localParallel(
    verification: VerificationPolicy = VerificationPolicy(), limits: DraftLimits = DraftLimits()
  ) -> Self {
    Self(verification: verification, localPolicy: .always, localLimits: limits, usesWorkers: false)
  }

  /// Workers draft; locally only what `localPolicy` asks for.
  public static func wideArea(
    localPolicy: LocalDraftPolicy = .never, verification: VerificationPolicy = VerificationPolicy(),
    limits: DraftLimits = DraftLimits(), lookupLength: Int = 0, minGain: Double = defaultMinGain
  ) -> Self {
    Self(
      verification: verification, localPolicy: localPolicy, localLimits: limits, lookupLength: lookupLength,
      minGain: minGain, usesWorkers: true)
  }
}
