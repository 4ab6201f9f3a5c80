import Foundation

/// Whether a series breathes with the day.
///
/// Each day gets its own cosinor: the coefficients of a 24 h and a 12 h wave in log latency, by least squares. Days
/// are far enough apart to be nearly independent, whatever the dependence within a day, so the spread of the days'
/// coefficients says how much chance moves them. (One regression over all probes takes them for independent: it
/// false-alarms in more than half of all series without a daily pattern.)
///
/// A stationary noise moves both coefficients of a wave equally and independently, so `D` days give
/// `2 (D - 1)` degrees of freedom, and `F = D |mean|^2 / (2 s^2)` with 2 above. This is more powerful for a week than
/// Hotelling's T^2, which spends its degrees of freedom on that covariance. Two waves are tested; the chance of a
/// false alarm is split between them, four fifths to the 24 h wave, which daily patterns mostly are.
public struct DiurnalTest: Sendable, Equatable {
  /// Under the hypothesis that the time of day does not matter.
  public var pValue: Double
  /// Of the 24 h wave, from its mean to its peak, as a share of the series' level: 0.3 is 30%.
  public var amplitude: Double
  /// 95%, from the days' coefficients; never below zero.
  public var amplitudeInterval: ClosedRange<Double>
  /// Time of day of the 24 h wave's peak, in hours of the clock that the first slot was given on, 0..<24.
  public var peakHour: Double
  /// Days with enough measurements.
  public var days: Int

  public static let minimumDays = 7

  /// - Parameters:
  ///   - series: values above zero; censored ones are left out, since a wave has no place for infinity
  ///   - startHour: the time of day of the first slot, in hours
  /// - Returns: nil with fewer than seven days of which three quarters were measured.
  public init?(_ series: SlotSeries, startHour: Double = 0) {
    let perDay = Int((86_400 / series.interval).rounded())
    guard perDay >= 8 else { return nil }
    var waves: [[Double]] = []
    var begin = 0
    while begin + perDay <= series.values.count {
      var fit = CosinorFit()
      for slot in begin..<begin + perDay {
        guard let value = series.values[slot], value > 0, value.isFinite else { continue }
        fit.add(log(value), hour: startHour + Double(slot) * series.interval / 3600)
      }
      if fit.count * 4 >= perDay * 3, let coefficients = fit.coefficients { waves.append(coefficients) }
      begin += perDay
    }
    guard waves.count >= Self.minimumDays else { return nil }
    days = waves.count
    let daily = Wave(waves.map { ($0[1], $0[2]) })
    let halfDaily = Wave(waves.map { ($0[3], $0[4]) })
    pValue = min(1, daily.pValue / 0.8, halfDaily.pValue / 0.2)
    // exp - 1, since the wave is one of logarithms.
    amplitude = exp(daily.amplitude) - 1
    amplitudeInterval =
      (exp(max(0, daily.amplitude - daily.reach)) - 1)...(exp(daily.amplitude + daily.reach) - 1)
    let hour = atan2(daily.sine, daily.cosine) * 24 / (2 * .pi)
    peakHour = hour < 0 ? hour + 24 : hour
  }

  private struct Wave {
    var cosine: Double
    var sine: Double
    var pValue: Double
    /// Half the 95% interval of the amplitude.
    var reach: Double
    var amplitude: Double { (cosine * cosine + sine * sine).squareRoot() }

    init(_ days: [(Double, Double)]) {
      let count = Double(days.count)
      let cosine = days.reduce(0) { $0 + $1.0 } / count
      let sine = days.reduce(0) { $0 + $1.1 } / count
      let freedom = 2 * (count - 1)
      let variance =
        days.reduce(0) { sum, day in
          sum + (day.0 - cosine) * (day.0 - cosine) + (day.1 - sine) * (day.1 - sine)
        } / freedom
      self.cosine = cosine
      self.sine = sine
      let square = cosine * cosine + sine * sine
      pValue =
        variance > 0
        ? ReferenceDistribution.fisherTail(count * square / (2 * variance), 2, freedom) : square > 0 ? 0 : 1
      reach = ReferenceDistribution.studentQuantile(0.975, freedom: freedom) * (variance / count).squareRoot()
    }
  }

  /// The p-values below which to speak of a pattern, when many pairs are tested and at most a share `rate` of the
  /// alarms may be false (Benjamini and Hochberg, 1995).
  ///
  /// - Returns: for each p-value whether it stands
  public static func discoveries(_ pValues: [Double], rate: Double = 0.05) -> [Bool] {
    let sorted = pValues.sorted()
    let last = sorted.indices.last { sorted[$0] <= rate * Double($0 + 1) / Double(sorted.count) }
    guard let last else { return pValues.map { _ in false } }
    return pValues.map { $0 <= sorted[last] }
  }
}

/// Least squares of a level, a 24 h wave and a 12 h wave.
struct CosinorFit {
  private(set) var count = 0
  private var products = [Double](repeating: 0, count: 25)
  private var sums = [Double](repeating: 0, count: 5)

  mutating func add(_ value: Double, hour: Double) {
    let angle = 2 * Double.pi * hour / 24
    let row = [1, cos(angle), sin(angle), cos(2 * angle), sin(2 * angle)]
    for i in 0..<5 {
      for j in 0..<5 { products[i * 5 + j] += row[i] * row[j] }
      sums[i] += row[i] * value
    }
    count += 1
  }

  /// Level, cosine and sine of 24 h, cosine and sine of 12 h; nil where the measurements do not tell them apart.
  var coefficients: [Double]? {
    // Gauss with pivots: five unknowns.
    var matrix = products
    var right = sums
    for column in 0..<5 {
      let pivot = (column..<5).max { abs(matrix[$0 * 5 + column]) < abs(matrix[$1 * 5 + column]) }!
      guard abs(matrix[pivot * 5 + column]) > 1e-9 * Double(max(1, count)) else { return nil }
      for k in 0..<5 { matrix.swapAt(pivot * 5 + k, column * 5 + k) }
      right.swapAt(pivot, column)
      for row in column + 1..<5 {
        let factor = matrix[row * 5 + column] / matrix[column * 5 + column]
        for k in column..<5 { matrix[row * 5 + k] -= factor * matrix[column * 5 + k] }
        right[row] -= factor * right[column]
      }
    }
    var result = [Double](repeating: 0, count: 5)
    for row in (0..<5).reversed() {
      var rest = right[row]
      for k in row + 1..<5 { rest -= matrix[row * 5 + k] * result[k] }
      result[row] = rest / matrix[row * 5 + row]
    }
    return result
  }
}
