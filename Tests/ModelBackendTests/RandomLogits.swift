import Simulator
import SplitMix

extension SplitMix64 {
  /// Logits as a model gives them: most around zero, a few well above.
  mutating func logits(_ count: Int, spread: Float) -> [Float] {
    (0..<count).map { _ in
      let sum = (0..<4).reduce(Float(0)) { total, _ in total + Float.random(in: -1...1, using: &self) }
      let lift = Int.random(in: 0..<50, using: &self) == 0 ? Float.random(in: 0...3, using: &self) : 0
      return (sum + lift) * spread
    }
  }
}
