import Foundation

/// The distribution functions that the tests and intervals here need.
public enum ReferenceDistribution {
  /// Standard normal: P(Z <= z).
  public static func normal(_ z: Double) -> Double { 0.5 * erfc(-z / 2.0.squareRoot()) }

  /// Student's t: P(T <= t).
  public static func student(_ t: Double, freedom: Double) -> Double {
    let tail = 0.5 * incompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5)
    return t > 0 ? 1 - tail : tail
  }

  /// The t below which Student's distribution has a share `p` of its mass, `0.5 <= p < 1`; by bisection.
  public static func studentQuantile(_ p: Double, freedom: Double) -> Double {
    precondition(p >= 0.5 && p < 1 && freedom >= 1, "a quantile of the upper half, of at least one degree")
    var (low, high) = (0.0, 2.0)
    while student(high, freedom: freedom) < p { high *= 2 }
    for _ in 0..<80 {
      let middle = (low + high) / 2
      if student(middle, freedom: freedom) < p { low = middle } else { high = middle }
    }
    return (low + high) / 2
  }

  /// Fisher's F: P(F > f), the p-value of a ratio of variances.
  public static func fisherTail(_ f: Double, _ above: Double, _ below: Double) -> Double {
    guard f > 0 else { return 1 }
    guard f.isFinite else { return 0 }
    return incompleteBeta(below / (below + above * f), below / 2, above / 2)
  }

  /// Kolmogorov's distribution: P(sup |Brownian bridge| > x).
  public static func kolmogorovTail(_ x: Double) -> Double {
    guard x > 0.2 else { return 1 }
    var sum = 0.0
    for k in 1...100 {
      let term = exp(-2 * Double(k * k) * x * x)
      sum += k % 2 == 1 ? term : -term
      if term < 1e-17 { break }
    }
    return min(1, max(0, 2 * sum))
  }

  /// The regularised incomplete beta function I_x(a, b), by its continued fraction (Abramowitz and Stegun 26.5.8,
  /// evaluated with Lentz's method).
  public static func incompleteBeta(_ x: Double, _ a: Double, _ b: Double) -> Double {
    if x <= 0 { return 0 }
    if x >= 1 { return 1 }
    // The fraction converges fast below the mean; above it the mirrored one does.
    if x > (a + 1) / (a + b + 2) { return 1 - incompleteBeta(1 - x, b, a) }
    let front = exp(a * log(x) + b * log1p(-x) + lgamma(a + b) - lgamma(a) - lgamma(b)) / a
    let tiny = 1e-300
    func away(_ value: Double) -> Double { abs(value) < tiny ? tiny : value }
    var c = 1.0
    var d = 1 / away(1 - (a + b) * x / (a + 1))
    var result = d
    for step in 1...500 {
      let m = Double(step)
      let even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
      d = 1 / away(1 + even * d)
      c = away(1 + even / c)
      result *= d * c
      let odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
      d = 1 / away(1 + odd * d)
      c = away(1 + odd / c)
      let change = d * c
      result *= change
      if abs(change - 1) < 1e-15 { break }
    }
    return front * result
  }
}
