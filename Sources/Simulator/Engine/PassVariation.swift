import SpeculationCore
import SplitMix

/// How much passes that compute the same differ in time: the system's scheduling, the memory bus, heat. Relative
/// standard deviations, 0...0.5.
///
/// With passes that all take the same time a step meets the worker in the same phase each time, which real ones do not.
public struct PassVariation: Hashable, Sendable {
  public var target: Double
  public var draft: Double

  public init(target: Double = 0, draft: Double = 0) {
    self.target = target
    self.draft = draft
  }

  /// Every pass takes what its curve says.
  public static let steady = PassVariation()
}

/// Draws by how much each pass of a run deviates.
struct PassNoise {
  private var random: SplitMix64

  init(seed: UInt64) { random = SplitMix64(seed: seed) }

  /// A sum of four even draws: nearly normal, within 3.5 deviations, and the same on every machine.
  mutating func vary(_ time: Int64, by deviation: Double) -> Int64 {
    guard deviation > 0 else { return time }
    var sum = -2.0
    for _ in 0..<4 { sum += random.uniform() }
    let factor = max(0.1, 1 + deviation * 3.0.squareRoot() * sum)
    return Int64((Double(time) * factor).rounded())
  }
}
