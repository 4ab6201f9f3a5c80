/// Tells when somebody sets the clock that a run follows, by comparison with one that nobody sets and that goes on while
/// the machine sleeps.
package struct ClockSteps: Sendable {
  /// Smaller ones change nothing, and no two clocks are read at one instant.
  private static let smallest = 1.0

  private var offset: Double?

  package init() {}

  /// - Parameters:
  ///   - time: of the clock that may be set, seconds
  ///   - reference: seconds since any instant
  /// - Returns: by how many seconds it was set forward since the call before; nil where it was not
  package mutating func step(time: Double, reference: Double) -> Double? {
    let offset = time - reference
    defer { self.offset = offset }
    guard let before = self.offset, abs(offset - before) >= Self.smallest else { return nil }
    return offset - before
  }
}
