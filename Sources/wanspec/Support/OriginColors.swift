import SpeculationCore

/// Marks in the text who guessed each token first.
struct OriginColors: Sendable {
  let isOn: Bool

  /// Remote guesses green, local guesses yellow, from the text itself cyan, the target's own in the terminal's
  /// colour, bold.
  func paint(_ text: String, _ origin: SessionMachine.Origin) -> String {
    guard isOn, !text.isEmpty else { return text }
    switch origin {
    case .remote: return "\u{1B}[32m\(text)\u{1B}[0m"
    case .local: return "\u{1B}[33m\(text)\u{1B}[0m"
    case .lookup: return "\u{1B}[36m\(text)\u{1B}[0m"
    case .target: return "\u{1B}[1m\(text)\u{1B}[0m"
    }
  }

  var legend: String {
    guard isOn else { return "" }
    return "\(paint("remote guess", .remote)) · \(paint("local guess", .local)) · "
      + "\(paint("from the text", .lookup)) · \(paint("target", .target))"
  }
}

extension SessionMachine.Origin {
  var name: String {
    switch self {
    case .remote: "remote"
    case .local: "local"
    case .lookup: "lookup"
    case .target: "target"
    }
  }
}
