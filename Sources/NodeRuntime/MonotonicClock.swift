import SpeculationCore

/// The clock that the runtime passes to the core: monotonic, nanoseconds since this process first asked.
public enum MonotonicClock {
  private static let origin = ContinuousClock.now

  public static func now() -> Timestamp {
    Timestamp(nanoseconds: origin.duration(to: .now).wholeNanoseconds)
  }
}
