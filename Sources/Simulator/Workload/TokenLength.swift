import Foundation
import SplitMix

/// How many tokens a prompt or an answer has.
public enum TokenLength: Hashable, Sendable {
  case fixed(Int)
  /// Every length between two, each as likely.
  case uniform(ClosedRange<Int>)
  /// Many short ones, few long ones, as real traffic has. `sigma` is the deviation of the logarithm.
  case lognormal(median: Double, sigma: Double, limits: ClosedRange<Int>)

  public static let limits = 1...10_000_000

  /// The longest that can be drawn.
  public var longest: Int {
    switch self {
    case .fixed(let length): length
    case .uniform(let range): range.upperBound
    case .lognormal(_, _, let limits): limits.upperBound
    }
  }

  func draw(_ random: inout SplitMix64) -> Int {
    switch self {
    case .fixed(let length): return length
    case .uniform(let range):
      return range.lowerBound + Int(random.uniform() * Double(range.count))
    case .lognormal(let median, let sigma, let limits):
      // Box and Muller's transform; the second value is left, so that each length takes two draws.
      let radius = (-2 * log(1 - random.uniform())).squareRoot()
      let normal = radius * cos(2 * .pi * random.uniform())
      let length = (median * exp(sigma * normal)).rounded()
      return Int(min(max(length, Double(limits.lowerBound)), Double(limits.upperBound)))
    }
  }
}
