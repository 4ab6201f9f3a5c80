import Foundation
import SpeculationCore
import SplitMix

/// When requests come. Rates are requests a second.
public enum ArrivalProcess: Hashable, Sendable {
  /// One every 1/rate, the first at 0.
  case constant(rate: Double)
  /// Independent of each other: exponential gaps.
  case poisson(rate: Double)
  /// Independent of each other, at a rate that follows the day.
  case diurnal(DailyRate)
  /// Each of so many users asks again as soon as the answer is there, and the think time has passed.
  case closedLoop(users: Int, thinkTime: Duration = .zero)
  /// As a file says, with the lengths that it says.
  case trace(RequestTrace)

  /// Rates beyond these are slips of the pen: one request in three hours, or one a microsecond.
  public static let rates: ClosedRange<Double> = 1e-4...1e6
}

/// A rate that repeats every period.
public struct DailyRate: Hashable, Sendable {
  public enum Shape: Hashable, Sendable {
    /// A sine around the mean. `peak` is the highest rate over the mean, 1...2.
    case sine(peak: Double)
    /// Equal parts of the period, each with a rate in proportion to its factor.
    case parts([Double])
  }

  /// Mean rate over a period, requests a second.
  public let mean: Double
  public let shape: Shape
  public let period: Duration
  /// Where in the period the run begins. A sine is at its mean, and rising, at 0.
  public let start: Duration

  private let periodSeconds: Double
  private let startSeconds: Double
  /// Factors over their own mean, so that the mean is the mean.
  private let factors: [Double]
  /// The highest rate.
  let highest: Double

  public init(mean: Double, shape: Shape, period: Duration = .seconds(86_400), start: Duration = .zero) {
    precondition(mean > 0 && period > .zero && start >= .zero, "a rate and a period are positive")
    self.mean = mean
    self.shape = shape
    self.period = period
    self.start = start
    periodSeconds = period.inSeconds
    startSeconds = start.inSeconds
    switch shape {
    case .sine(let peak):
      precondition((1...2).contains(peak), "a sine of more than twice its mean would fall below 0")
      factors = []
      highest = mean * peak
    case .parts(let parts):
      let sum = parts.reduce(0, +)
      precondition(sum > 0 && parts.allSatisfy { $0 >= 0 }, "factors are not negative, and not all 0")
      factors = parts.map { $0 * Double(parts.count) / sum }
      highest = mean * factors.max()!
    }
  }

  /// Requests a second, `seconds` after the start of the run.
  public func rate(at seconds: Double) -> Double {
    let turns = (startSeconds + seconds) / periodSeconds
    let share = turns - turns.rounded(.down)
    switch shape {
    case .sine(let peak): return mean * (1 + (peak - 1) * sin(2 * .pi * share))
    case .parts: return mean * factors[min(Int(share * Double(factors.count)), factors.count - 1)]
    }
  }
}

/// The times of an open arrival process, one after the other, never falling. Equal seeds give equal times.
///
/// Takes no memory but its own: a day of a million requests is drawn as it passes. (Gaps use the system's `log`,
/// days its `sin`, the same on all Linux machines with a current glibc.)
public struct ArrivalTimes: IteratorProtocol, Sendable {
  private enum Process: Sendable {
    case constant(rate: Double)
    case poisson(rate: Double)
    case diurnal(DailyRate)
  }

  private let process: Process
  private var random: SplitMix64
  private var time: Int64 = 0
  private var count: Int64 = 0

  /// Virtual time ends here: ten years, in nanoseconds.
  public static let end: Int64 = 10 * 365 * 86_400 * 1_000_000_000

  /// Nil for a closed loop, whose times depend on the answers, and for a trace, which has times of its own.
  public init?(_ process: ArrivalProcess, seed: UInt64) {
    switch process {
    case .constant(let rate): self.process = .constant(rate: rate)
    case .poisson(let rate): self.process = .poisson(rate: rate)
    case .diurnal(let rate): self.process = .diurnal(rate)
    case .closedLoop, .trace: return nil
    }
    random = SplitMix64(seed: seed)
  }

  /// Nanoseconds since the start of the run; nil when virtual time is over.
  public mutating func next() -> Int64? {
    switch process {
    case .constant(let rate):
      // From the number, not from the last time: thirds of a second must not drift.
      time = Self.whole(Double(count) / rate * 1e9)
      count += 1
    case .poisson(let rate):
      time = Self.whole(Double(time) + gap(rate))
    case .diurnal(let rate):
      // Thinning (Lewis and Shedler, 1979): draw at the highest rate, keep each in proportion to the rate then.
      repeat {
        time = Self.whole(Double(time) + gap(rate.highest))
      } while time < Self.end && random.uniform() * rate.highest >= rate.rate(at: Double(time) / 1e9)
    }
    return time < Self.end ? time : nil
  }

  /// An exponential gap, in nanoseconds.
  private mutating func gap(_ rate: Double) -> Double { -log(1 - random.uniform()) / rate * 1e9 }

  private static func whole(_ nanoseconds: Double) -> Int64 { Int64(min(nanoseconds.rounded(), Double(end))) }
}
