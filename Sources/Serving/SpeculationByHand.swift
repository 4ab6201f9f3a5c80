import SpeculationCore

/// What somebody sets by hand of how to speculate. It holds; the rest is the autopilot's.
public struct SpeculationByHand: Sendable, Hashable {
  /// Whether the autopilot chooses what is not set here; otherwise fixed values hold there.
  public var usesAutopilot = true
  /// What may be drafted locally beside the workers: the operator's choice, never the autopilot's.
  public var policy = LocalDraftPolicy.never
  /// Guesses before each verification, in sequential mode.
  public var draftLength: Int?
  /// Guesses in one target pass at most.
  public var verifyWidth: Int?
  /// Guesses in a row from the text itself.
  public var lookup: Int?
  /// Speed against plain below which drafting pauses.
  public var minGain: Double?

  public init(
    usesAutopilot: Bool = true, policy: LocalDraftPolicy = .never, draftLength: Int? = nil,
    verifyWidth: Int? = nil, lookup: Int? = nil, minGain: Double? = nil
  ) {
    self.usesAutopilot = usesAutopilot
    self.policy = policy
    self.draftLength = draftLength
    self.verifyWidth = verifyWidth
    self.lookup = lookup
    self.minGain = minGain
  }

  /// - Parameter hasLocal: whether there is a draft model beside the target
  public func settings(for mode: GenerationMode, hasLocal: Bool) -> SpeculationSettings {
    var settings: SpeculationSettings
    switch mode {
    case .plain: return .plain
    case .localSequential:
      return .localSequential(length: draftLength ?? SpeculationSettings.defaultDraftLength)
    case .localParallel:
      settings = usesAutopilot ? Autopilot.localSettings : .localParallel()
    case .wan:
      settings =
        usesAutopilot
        ? Autopilot.settings(localPolicy: hasLocal ? policy : .never) : .wideArea(localPolicy: policy)
    }
    if let verifyWidth { settings.verification.maxNodes = verifyWidth }
    if let lookup { settings.lookupLength = lookup }
    if let minGain { settings.minGain = minGain }
    return settings
  }
}
