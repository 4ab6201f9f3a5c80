import ModelBackend
import SpeculationCore
import Testing

@Suite struct KeyedNoiseTests {
  /// Pearson's statistic over 64 bins has mean 63 and standard deviation 11.2; 130 is six of them away.
  private func chiSquared(_ values: some Sequence<Double>) -> Double {
    var bins = [Double](repeating: 0, count: 64)
    var count = 0.0
    for value in values {
      bins[min(63, Int(value * 64))] += 1
      count += 1
    }
    let expected = count / 64
    return bins.reduce(0) { $0 + ($1 - expected) * ($1 - expected) / expected }
  }

  @Test(arguments: [UInt64(0), 1, 42, .max])
  func uniformOverTokensPositionsAndSeeds(seed: UInt64) {
    let tokens = (0..<100_000).map { KeyedNoise(seed: seed, position: 7).uniform(TokenID($0)) }
    #expect(tokens.allSatisfy { $0 > 0 && $0 < 1 })
    #expect(chiSquared(tokens) < 130, "seed \(seed)")
    let positions = (0..<100_000).map { KeyedNoise(seed: seed, position: $0).uniform(3) }
    #expect(chiSquared(positions) < 130, "seed \(seed)")
    let seeds = (0..<100_000).map { KeyedNoise(seed: seed &+ $0, position: 3).uniform(3) }
    #expect(chiSquared(seeds) < 130, "seed \(seed)")
  }

  @Test func neighboursAreUncorrelated() {
    func correlation(_ pair: (Int) -> (Double, Double)) -> Double {
      var (a, b, aa, bb, ab) = (0.0, 0.0, 0.0, 0.0, 0.0)
      let count = 100_000.0
      for index in 0..<Int(count) {
        let (x, y) = pair(index)
        (a, b, aa, bb, ab) = (a + x, b + y, aa + x * x, bb + y * y, ab + x * y)
      }
      let covariance = ab / count - a / count * b / count
      let variance = (aa / count - a / count * a / count) * (bb / count - b / count * b / count)
      return covariance / variance.squareRoot()
    }
    func u(_ seed: Int, _ position: Int, _ token: Int) -> Double {
      KeyedNoise(seed: UInt64(seed), position: position).uniform(TokenID(token))
    }
    #expect(abs(correlation { (u(1, 5, $0), u(1, 5, $0 + 1)) }) < 0.02)
    #expect(abs(correlation { (u(1, $0, 9), u(1, $0 + 1, 9)) }) < 0.02)
    #expect(abs(correlation { (u($0, 5, 9), u($0 + 1, 5, 9)) }) < 0.02)
    // The same sum of position and token, or of seed and position, must not give the same noise.
    #expect(abs(correlation { (u(1, $0, 1), u(1, $0 + 1, 0)) }) < 0.02)
    #expect(abs(correlation { (u($0, 1, 9), u($0 + 1, 0, 9)) }) < 0.02)
  }

  @Test func gumbelHasItsMeanAndVariance() {
    let noise = KeyedNoise(seed: 5, position: 1)
    let values = (0..<200_000).map { noise.gumbel($0) }
    let mean = values.reduce(0, +) / Double(values.count)
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
    #expect(abs(mean - 0.577_2) < 0.01)
    #expect(abs(variance - 1.644_9) < 0.03)
    #expect(values.allSatisfy { $0 <= KeyedNoise.largestGumbel })
  }

  /// Pins the function: a change would make old and new nodes disagree silently.
  @Test func valuesAreFixed() {
    let first = KeyedNoise(seed: 1, position: 2).uniform(3)
    let second = KeyedNoise(seed: 1, position: 2).uniform(3)
    #expect(first == second)
    #expect(KeyedNoise(seed: 1, position: 2).uniform(4) != first)
    #expect(KeyedNoise(seed: 1, position: 3).uniform(3) != first)
    #expect(KeyedNoise(seed: 2, position: 2).uniform(3) != first)
  }
}
