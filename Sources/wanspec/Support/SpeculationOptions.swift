import ArgumentParser
import CommandSettings
import Serving
import SpeculationCore

/// Options that say how to speculate. Nothing needs to be said: what is not set by hand the autopilot chooses.
struct SpeculationOptions: ParsableArguments {
  @Option(Settings.policy) var policy: LocalPolicyArgument?

  @Option(Settings.draftLength) var draftLength: Int?

  @OptionGroup var tuning: TuningOptions

  mutating func validate() throws {
    policy = try Settings.policy.resolve(policy)
    draftLength = try Settings.draftLength.resolve(draftLength)
  }

  var byHand: SpeculationByHand {
    var byHand = tuning.byHand
    (byHand.policy, byHand.draftLength) = (policy!.policy, draftLength)
    return byHand
  }
}

/// What the autopilot chooses unless it is set by hand.
struct TuningOptions: ParsableArguments {
  @Option(Settings.verifyWidth) var verifyWidth: Int?

  @Option(Settings.lookup) var lookup: Int?

  @Option(Settings.minGain) var minGain: Double?

  @OptionGroup var choosing: AutopilotOption

  mutating func validate() throws {
    verifyWidth = try Settings.verifyWidth.resolve(verifyWidth)
    lookup = try Settings.lookup.resolve(lookup)
    minGain = try Settings.minGain.resolve(minGain)
  }

  var byHand: SpeculationByHand {
    SpeculationByHand(
      usesAutopilot: choosing.autopilot, verifyWidth: verifyWidth, lookup: lookup, minGain: minGain)
  }
}

/// `--no-autopilot`.
struct AutopilotOption: ParsableArguments {
  @Flag(eitherWay: Settings.autopilot) var given: Bool?

  private(set) var autopilot = true

  enum CodingKeys: CodingKey { case given }

  mutating func validate() throws { autopilot = try Settings.autopilot.value(given) }
}
