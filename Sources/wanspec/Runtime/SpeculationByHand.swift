import SpeculationCore

/// What somebody sets by hand of how to speculate. It holds; the rest is the autopilot's.
struct SpeculationByHand: Sendable, Hashable {
  /// Whether the autopilot chooses what is not set here; otherwise fixed values hold there.
  var usesAutopilot = true
  /// What may be drafted at home beside the workers: the operator's choice, never the autopilot's.
  var policy = HomeDraftPolicy.never
  /// Guesses before each verification, in sequential mode.
  var draftLength: Int?
  /// Guesses in one target pass at most.
  var verifyWidth: Int?
  /// Guesses in a row from the text itself.
  var lookup: Int?
  /// Speed against plain below which drafting pauses.
  var minGain: Double?

  /// - Parameter hasHome: whether there is a draft model beside the target
  func settings(for mode: GenerationMode, hasHome: Bool) -> SpeculationSettings {
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
        ? Autopilot.settings(homePolicy: hasHome ? policy : .never) : .wideArea(homePolicy: policy)
    }
    if let verifyWidth { settings.verification.maxNodes = verifyWidth }
    if let lookup { settings.lookupLength = lookup }
    if let minGain { settings.minGain = minGain }
    return settings
  }

  /// Flags and values that the autopilot would have chosen, in the order of the help.
  var choices: [(flag: String, value: String)] {
    let all: [(String, String?)] = [
      ("verify-width", verifyWidth.map(String.init)), ("lookup", lookup.map(String.init)),
      ("min-gain", minGain.map { "\($0)" }),
    ]
    return all.compactMap { flag, value in value.map { (flag, $0) } }
  }

  /// Where the autopilot and hand settings meet, one line that says so.
  var note: String? { usesAutopilot ? HandSettings.note(choices) : nil }
}

/// How commands say what is set by hand.
enum HandSettings {
  /// - Parameter choices: flags without their dashes, and their values
  static func note(_ choices: [(flag: String, value: String)]) -> String? {
    if choices.isEmpty { return nil }
    let list = choices.map { "--\($0.flag) \($0.value)" }.joined(separator: ", ")
    return "set by hand: \(list); the autopilot chooses the rest"
  }

  /// For scripts: whether the autopilot chooses, and what it does not.
  static func fields(
    usesAutopilot: Bool, _ choices: [(flag: String, value: String)]
  ) -> [String: any Sendable] {
    var byHand: [String: any Sendable] = [:]
    for (flag, value) in choices { byHand[flag] = value }
    return ["autopilot": usesAutopilot, "by_hand": byHand]
  }
}

extension SpeculationByHand {
  var fields: [String: any Sendable] { HandSettings.fields(usesAutopilot: usesAutopilot, choices) }
}
