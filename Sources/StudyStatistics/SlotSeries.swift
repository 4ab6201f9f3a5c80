/// What one pair of places measured, slot by slot of its schedule.
///
/// A slot without a probe holds `nil`; a probe that got no answer in time holds `+infinity`: it is known to have
/// taken longer than the timeout (right-censored), so it counts above every measured value and is never left out.
public struct SlotSeries: Sendable, Equatable {
  /// Seconds between two slots.
  public var interval: Double
  /// One for each slot, in order; never NaN.
  public var values: [Double?]

  /// - Precondition: the interval is above zero and finite, and no value is NaN.
  public init(interval: Double, values: [Double?]) {
    precondition(interval > 0 && interval.isFinite, "the time between slots must be above zero")
    precondition(!values.contains { $0?.isNaN == true }, "a measurement is a number")
    self.interval = interval
    self.values = values
  }

  /// The values that there are, in order of time.
  public var present: [Double] { values.compactMap { $0 } }
}
