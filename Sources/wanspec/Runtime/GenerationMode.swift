import ArgumentParser
import NodeRuntime
import SpeculationCore

/// How a generation speculates, as the command line says it.
enum GenerationMode: String, CaseIterable, ExpressibleByArgument, Sendable {
  /// The target alone.
  case plain
  /// Draft at home, then verify: what llama.cpp and vLLM do.
  case localSequential = "local-sequential"
  /// Draft at home while the target verifies.
  case localParallel = "local-parallel"
  /// Workers draft, over the network.
  case wan

  var needsHomeDraft: Bool { self == .localSequential || self == .localParallel }

  /// - Parameters:
  ///   - draftLength: guesses before each verification, in sequential mode
  ///   - policy: when to draft at home, in wan mode
  ///   - verifyWidth: guesses in one target pass at most
  ///   - lookup: guesses in a row from the text itself, in wan mode
  ///   - minGain: speed against plain below which drafting pauses, in wan mode
  func settings(
    draftLength: Int, policy: HomeDraftPolicy, verifyWidth: Int, lookup: Int, minGain: Double
  ) -> SpeculationSettings {
    let verification = VerificationPolicy(maxNodes: verifyWidth)
    return switch self {
    case .plain: .plain
    case .localSequential: .localSequential(length: draftLength)
    case .localParallel: .localParallel(verification: verification)
    case .wan:
      .wideArea(homePolicy: policy, verification: verification, lookupLength: lookup, minGain: minGain)
    }
  }
}

/// `never`, `always`, `entropy:NATS` or `value:TIME`.
struct HomePolicyArgument: TextArgument, CustomStringConvertible {
  var policy: HomeDraftPolicy

  init(_ policy: HomeDraftPolicy) { self.policy = policy }

  init(parsing text: String) throws {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    if parts[0] == "value", parts.count == 2 {
      policy = .value(price: try DurationArgument(parsing: String(parts[1])).duration)
      return
    }
    switch (parts[0], parts.count == 2 ? Float(parts[1]) : nil) {
    case ("never", nil) where parts.count == 1: policy = .never
    case ("always", nil) where parts.count == 1: policy = .always
    case ("entropy", let threshold?) where threshold.isFinite && threshold >= 0:
      policy = .entropy(threshold: threshold)
    default:
      throw ArgumentProblem(
        "\"\(text)\" is not a policy; write never, always, entropy:NATS or value:TIME, such as entropy:1.0 or value:5ms"
      )
    }
  }

  var description: String {
    switch policy {
    case .never: "never"
    case .always: "always"
    case .entropy(let threshold): "entropy:\(threshold)"
    case .value(let price): "value:\(DurationArgument(nanoseconds: price.wholeNanoseconds).text)"
    }
  }
}

/// Options that say how to speculate, for one generation or for a benchmark.
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
      "Guesses in one target pass at most; the measured cost decides below that. (env: WANSPEC_VERIFY_WIDTH; default: 16)",
      valueName: "nodes"))
  var verifyWidth: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Guesses in a row that are taken from the text itself, without any draft model, in wan mode; 0: none. (env: WANSPEC_LOOKUP; default: 0)",
      valueName: "tokens"))
  var lookup: Int?

  @Option(
    name: .customLong("min-gain"), parsing: .unconditional,
    help: ArgumentHelp(
      "Pause drafting while it makes the text less than this many times as fast as plain; 0: never pause. (env: WANSPEC_MIN_GAIN; default: \(SpeculationSettings.defaultMinGain))",
      valueName: "ratio"))
  var minGain: Double?

  @Flag(
    help:
      "Choose verification width, guesses from the text and when to pause from what is measured, in wan mode; --policy stays yours. (env: WANSPEC_AUTOPILOT)"
  )
  var autopilot = false

  mutating func validate() throws {
    let twins = EnvironmentTwins()
    autopilot = try twins("WANSPEC_AUTOPILOT", autopilot)
    if autopilot, verifyWidth != nil || lookup != nil || minGain != nil {
      throw ValidationError(
        "--autopilot chooses what --verify-width, --lookup and --min-gain say; leave them out.")
    }
    policy = try twins("WANSPEC_POLICY", policy) ?? HomePolicyArgument(.never)
    draftLength = try twins("WANSPEC_DRAFT_LENGTH", draftLength) ?? 5
    verifyWidth = try twins("WANSPEC_VERIFY_WIDTH", verifyWidth) ?? 16
    minGain = try twins("WANSPEC_MIN_GAIN", minGain) ?? SpeculationSettings.defaultMinGain
    lookup = try twins("WANSPEC_LOOKUP", lookup) ?? 0
    if let problem = SpeculationSettings.problem(minGain: minGain!) { throw ValidationError(problem) }
    if let problem = SpeculationSettings.problem(lookup: lookup!) { throw ValidationError(problem) }
    if !(1...64).contains(draftLength!) {
      throw ValidationError("--draft-length must be between 1 and 64, not \(draftLength!).")
    }
    if !(1...128).contains(verifyWidth!) {
      throw ValidationError("--verify-width must be between 1 and 128, not \(verifyWidth!).")
    }
  }

  /// - Parameters:
  ///   - targetCost: measured T(n)
  ///   - homeCost: measured d(b) of the draft model at home, if there is one
  func settings(
    for mode: GenerationMode, targetCost: CostCurve, homeCost: CostCurve?
  ) -> SpeculationSettings {
    if autopilot, mode == .wan {
      return Autopilot.settings(targetCost: targetCost, homeCost: homeCost, homePolicy: policy!.policy)
    }
    return mode.settings(
      draftLength: draftLength!, policy: policy!.policy, verifyWidth: verifyWidth!, lookup: lookup!,
      minGain: minGain!)
  }
}

extension SpeculationOptions {
  /// How a server speculates: as the flags say, or where none of them says how much, as measurements do.
  func serverSettings(targetCost: CostCurve, homeCost: CostCurve?) -> SpeculationSettings {
    let sources = EnvironmentTwins.askedFor
    let isChosen = ["verify-width", "lookup", "min-gain"].contains { (sources[$0] ?? .fallback) != .fallback }
    if isChosen, !autopilot {
      return settings(for: .wan, targetCost: targetCost, homeCost: homeCost)
    }
    return Autopilot.settings(targetCost: targetCost, homeCost: homeCost, homePolicy: policy!.policy)
  }
}

extension SpeculationSettings {
  static func problem(lookup: Int) -> String? {
    (0...64).contains(lookup) ? nil : "--lookup must be between 0 and 64, not \(lookup)."
  }

  static func problem(minGain: Double) -> String? {
    (0...100).contains(minGain) ? nil : "--min-gain must be between 0 (never pause) and 100, not \(minGain)."
  }
}
