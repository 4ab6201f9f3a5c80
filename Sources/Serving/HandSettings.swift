import SpeculationCore

/// How commands say what is set by hand.
package enum HandSettings {
  /// - Parameter choices: flags without their dashes, and their values
  package static func note(_ choices: [(flag: String, value: String)]) -> String? {
    if choices.isEmpty { return nil }
    let list = choices.map { "--\($0.flag) \($0.value)" }.joined(separator: ", ")
    return "set by hand: \(list); the autopilot chooses the rest"
  }

  /// What a worker guesses within, by flag.
  package static func values(_ limits: DraftLimits) -> [String: String] {
    [
      "pass-width": "\(limits.passWidth)", "candidates": "\(limits.candidates)",
      "max-depth": "\(limits.maxDepth)", "min-path-probability": "\(limits.minPathProbability)",
    ]
  }

  /// For scripts: whether the autopilot chooses, and what it does not.
  package static func fields(
    usesAutopilot: Bool, _ choices: [(flag: String, value: String)]
  ) -> [String: any Sendable] {
    var byHand: [String: any Sendable] = [:]
    for (flag, value) in choices { byHand[flag] = value }
    return ["autopilot": usesAutopilot, "by_hand": byHand]
  }
}

extension SpeculationByHand {
  /// Flags and values that the autopilot would have chosen, in the order of the help.
  package var choices: [(flag: String, value: String)] {
    let all: [(String, String?)] = [
      ("verify-width", verifyWidth.map(String.init)), ("lookup", lookup.map(String.init)),
      ("min-gain", minGain.map { "\($0)" }),
    ]
    return all.compactMap { flag, value in value.map { (flag, $0) } }
  }

  /// What holds with workers, whoever chose it, by flag.
  package func values(hasLocal: Bool) -> [String: String] {
    let settings = settings(for: .wan, hasLocal: hasLocal)
    return [
      "verify-width": "\(settings.verification.maxNodes)", "lookup": "\(settings.lookupLength)",
      "min-gain": "\(settings.minGain)",
    ]
  }

  /// Where the autopilot and hand settings meet, one line that says so.
  package var note: String? { usesAutopilot ? HandSettings.note(choices) : nil }

  package var fields: [String: any Sendable] { HandSettings.fields(usesAutopilot: usesAutopilot, choices) }
}
