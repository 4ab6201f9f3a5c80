import ArgumentParser
import Serving
import SpeculationCore

/// Options that say how to speculate. Nothing needs to be said: what is not set by hand the autopilot chooses.
struct SpeculationOptions: ParsableArguments {
  @Option(Settings.policy) var policy: HomePolicyArgument?

  @Option(Settings.draftLength) var draftLength: Int?

  @Option(Settings.verifyWidth) var verifyWidth: Int?

  @Option(Settings.lookup) var lookup: Int?

  @Option(Settings.minGain) var minGain: Double?

  @OptionGroup var choosing: AutopilotOption

  mutating func validate() throws {
    policy = try Settings.policy.resolve(policy)
    draftLength = try Settings.draftLength.resolve(draftLength)
    verifyWidth = try Settings.verifyWidth.resolve(verifyWidth)
    minGain = try Settings.minGain.resolve(minGain)
    lookup = try Settings.lookup.resolve(lookup)
  }

  var byHand: SpeculationByHand {
    SpeculationByHand(
      usesAutopilot: choosing.autopilot, policy: policy!.policy, draftLength: draftLength,
      verifyWidth: verifyWidth, lookup: lookup, minGain: minGain)
  }
}

/// `--no-autopilot`.
struct AutopilotOption: ParsableArguments {
  @Flag(eitherWay: Settings.autopilot) var given: Bool?

  private(set) var autopilot = true

  enum CodingKeys: CodingKey { case given }

  mutating func validate() throws { autopilot = try Settings.autopilot.value(given) }
}
