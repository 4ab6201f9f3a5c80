import Foundation

/// How much neighbouring measurements repeat each other.
///
/// For a quantile what counts is the dependence of "is it above the quantile", so the functions take such a series
/// of zeros and ones, with nil for slots that were missed.
public struct Dependence: Sendable, Equatable {
  /// Sum of all autocorrelations, `1 + 2 * (rho_1 + rho_2 + ...)`, at least 1: so many measurements tell as much
  /// as one independent one.
  public var integratedTime: Double
  /// For a circular block bootstrap, in slots.
  public var blockLength: Int

  /// The sum is cut off where pairs of autocorrelations stop being positive (Geyer, "Practical Markov chain Monte
  /// Carlo", 1992). The block length is that of Politis and White ("Automatic block-length selection for the
  /// dependent bootstrap", 2004, corrected 2009), at most a tenth of the series: fewer blocks would not say how
  /// different they are.
  public init(of series: [Double?]) {
    let present = series.compactMap { $0 }
    let mean = present.reduce(0, +) / Double(max(1, present.count))
    let centered = series.map { value in value.map { $0 - mean } ?? 0 }
    let weight = series.map { $0 == nil ? 0.0 : 1.0 }
    let size = present.count
    func autocovariance(_ lag: Int) -> Double {
      var sum = 0.0
      var pairs = 0.0
      for index in 0..<max(0, series.count - lag) {
        sum += centered[index] * centered[index + lag]
        pairs += weight[index] * weight[index + lag]
      }
      // Few pairs at a lag tell nothing of it.
      return pairs < Double(size) / 10 ? 0 : sum / Double(size)
    }
    let variance = size < 2 ? 0 : autocovariance(0)
    guard variance > 0 else {
      integratedTime = 1
      blockLength = 1
      return
    }
    let longest = max(1, min(series.count / 4, 2000))
    // Computed once each, as far as they are asked for.
    var correlations = [1.0]
    func correlation(_ lag: Int) -> Double {
      while correlations.count <= lag { correlations.append(autocovariance(correlations.count) / variance) }
      return correlations[lag]
    }
    var sum = 1.0
    for lag in stride(from: 1, to: longest - 1, by: 2) {
      let pair = correlation(lag) + correlation(lag + 1)
      guard pair > 0 else { break }
      sum += 2 * pair
    }
    integratedTime = max(1, sum)

    // The lag from which on all is noise, then a flat-topped window twice as wide.
    let noise = 2 * (log10(Double(max(size, 10))) / Double(size)).squareRoot()
    let settled = max(5, Int(log10(Double(max(size, 10))).squareRoot().rounded(.up)))
    var last = 0
    while last + settled < longest {
      guard let above = (last + 1...last + settled).last(where: { abs(correlation($0)) > noise }) else {
        break
      }
      last = above
    }
    let window = max(2, min(2 * last, longest))
    var spectrum = 1.0
    var slope = 0.0
    for lag in 1...window {
      let place = Double(lag) / Double(window)
      let taper = place <= 0.5 ? 1 : 2 * (1 - place)
      spectrum += 2 * taper * correlation(lag)
      slope += 2 * taper * Double(lag) * correlation(lag)
    }
    let ratio = spectrum > 0 ? slope / spectrum : 0
    let length = pow(1.5 * ratio * ratio * Double(size), 1.0 / 3)
    blockLength = max(1, min(Int(length.rounded(.up)), max(1, series.count / 10)))
  }
}
