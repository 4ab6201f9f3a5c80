import ArgumentParser
import Serving
import SpeculationCore

/// Options that say how to speculate. Nothing needs to be said: what is not set by hand the autopilot chooses.
struct SpeculationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "When to draft at home beside the workers: never, always, entropy:NATS or value:TIME, the time that a pass at home has to save. (env: WANSPEC_POLICY; default: never)",
      valueName: "policy"),
    transform: HomePolicyArgument.init(parsing:))
  var policy: HomePolicyArgument?

  @Option(
    name: .customLong("draft-length"), parsing: .unconditional,
    help: ArgumentHelp(
      "Guesses before each verification in local-sequential mode. (env: WANSPEC_DRAFT_LENGTH; default: 5)",
      valueName: "tokens"))
  var draftLength: Int?

  @Option(
    name: .customLong("verify-width"), parsing: .unconditional,
    help: ArgumentHelp(
      "Guesses in one target pass at most; the measured cost decides below that. (env: WANSPEC_VERIFY_WIDTH; default: the autopilot's)",
      valueName: "nodes"))
  var verifyWidth: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Guesses in a row that are taken from the text itself, without any draft model, in wan and local-parallel mode; 0: none. (env: WANSPEC_LOOKUP; default: the autopilot's)",
      valueName: "tokens"))
  var lookup: Int?

  @Option(
    name: .customLong("min-gain"), parsing: .unconditional,
    help: ArgumentHelp(
      "Pause drafting while it makes the text less than this many times as fast as plain, in wan and local-parallel mode; 0: never pause. (env: WANSPEC_MIN_GAIN; default: the autopilot's)",
      valueName: "ratio"))
  var minGain: Double?

  @OptionGroup var choosing: AutopilotOption

  mutating func validate() throws {
    let twins = EnvironmentTwins()
    policy = try twins("WANSPEC_POLICY", policy) ?? HomePolicyArgument(.never)
    draftLength = try twins("WANSPEC_DRAFT_LENGTH", draftLength) ?? SpeculationSettings.defaultDraftLength
    verifyWidth = try twins("WANSPEC_VERIFY_WIDTH", verifyWidth)
    minGain = try twins("WANSPEC_MIN_GAIN", minGain)
    lookup = try twins("WANSPEC_LOOKUP", lookup)
    if !(1...64).contains(draftLength!) {
      throw ValidationError("--draft-length must be between 1 and 64, not \(draftLength!).")
    }
    try Self.check(verifyWidth: verifyWidth, lookup: lookup, minGain: minGain)
  }

  /// The limits of what may be set by hand.
  static func check(verifyWidth: Int?, lookup: Int?, minGain: Double?) throws {
    if let minGain, !(0...100).contains(minGain) {
      throw ValidationError("--min-gain must be between 0 (never pause) and 100, not \(minGain).")
    }
    if let lookup, !(0...64).contains(lookup) {
      throw ValidationError("--lookup must be between 0 and 64, not \(lookup).")
    }
    if let verifyWidth, !(1...128).contains(verifyWidth) {
      throw ValidationError("--verify-width must be between 1 and 128, not \(verifyWidth).")
    }
  }

  var byHand: SpeculationByHand {
    SpeculationByHand(
      usesAutopilot: choosing.autopilot, policy: policy!.policy, draftLength: draftLength,
      verifyWidth: verifyWidth, lookup: lookup, minGain: minGain)
  }
}

/// `--no-autopilot`.
struct AutopilotOption: ParsableArguments {
  @Flag(
    name: .customLong("autopilot"), inversion: .prefixedNo,
    help:
      "Let measurements choose what is not set by hand; without, fixed values hold. (env: WANSPEC_AUTOPILOT; default: --autopilot)"
  )
  var given: Bool?

  private(set) var autopilot = true

  enum CodingKeys: CodingKey { case given }

  mutating func validate() throws { autopilot = try EnvironmentTwins()("WANSPEC_AUTOPILOT", given) ?? true }
}
