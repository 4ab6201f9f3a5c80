import SpeculationCore

/// Marks in the text who guessed each token first.
package struct OriginColors: Sendable {
  package let isOn: Bool

  package init(isOn: Bool) { self.isOn = isOn }

  /// Remote guesses green, local guesses yellow, from the text itself cyan, the target's own in the terminal's
  /// colour, bold.
  package func paint(_ text: String, _ origin: SessionMachine.Origin) -> StyledText {
    let style: TextStyle =
      switch origin {
      case .remote: .green
      case .local: .yellow
      case .lookup: .cyan
      case .target: .bold
      }
    return StyledText(text, isOn ? style : nil)
  }

  /// A line; empty where there are no colours.
  package func legend(_ title: String = "") -> StyledText {
    guard isOn else { return StyledText() }
    var legend = StyledText(title)
    legend.append(paint("remote guess", .remote))
    for (text, origin) in [("local guess", .local), ("from the text", .lookup), ("target", .target)]
      as [(String, SessionMachine.Origin)]
    {
      legend.append(" · ")
      legend.append(paint(text, origin))
    }
    legend.append("\n")
    return legend
  }
}

extension SessionMachine.Origin {
  package var name: String {
    switch self {
    case .remote: "remote"
    case .local: "local"
    case .lookup: "lookup"
    case .target: "target"
    }
  }
}
