import Gateway
import SpeculationCore

/// What requests may ask of speculation at one server.
public struct SpeculationChoices: Sendable {
  /// Unless a request says otherwise: what nobody fixes follows from what is measured.
  public var standard: SpeculationSettings
  /// With workers; nil where none are taken.
  public var wan: SpeculationSettings?
  /// With the server's own draft model alone; nil without one.
  public var local: SpeculationSettings?

  /// - Parameters:
  ///   - byHand: what the operator has set
  ///   - isOn: whether answers are speculated unless their request says so
  public init(_ byHand: SpeculationByHand, isOn: Bool = true, takesWorkers: Bool, hasLocal: Bool) {
    wan = takesWorkers ? byHand.settings(for: .wan, hasLocal: hasLocal) : nil
    local = hasLocal ? byHand.settings(for: .localParallel, hasLocal: true) : nil
    standard = isOn ? wan ?? local ?? .plain : .plain
  }

  /// - Throws: a sentence where this server cannot do what is asked
  public func settings(for choice: SpeculationChoice) throws(UnavailableChoice) -> SpeculationSettings {
    var settings: SpeculationSettings
    switch choice.mode {
    case .auto: settings = standard
    case .off: return .plain
    case .wan:
      guard let wan else {
        throw UnavailableChoice("this server takes no workers; it was started with --listen none")
      }
      settings = wan
    case .local:
      guard let local else {
        throw UnavailableChoice("this server has no draft model of its own; start it with --draft")
      }
      settings = local
    }
    if let price = choice.price {
      guard local != nil else {
        throw UnavailableChoice("a price of drafting locally needs a server with --draft")
      }
      settings.localPolicy = .value(price: Duration(inSeconds: price / 1000))
    }
    if let width = choice.width { settings.verification.maxNodes = width }
    return settings
  }
}
