import SpeculationCore

/// Vectorised passes over one row of logits. No pass allocates more than one value per block of the row.
enum LogitScan {
  typealias Vector = SIMD8<Float>
  static let lanes = 8
  /// Logits per block: small enough that rescanning one costs nothing, large enough that block maxima are few.
  static let block = 256

  /// The range of ids that a block covers.
  @inline(__always)
  static func range(ofBlock index: Int, count: Int) -> Range<Int> {
    let start = index * block
    return start..<min(start + block, count)
  }

  /// Writes each block's largest logit and returns the largest of all.
  ///
  /// - Returns: nil when a logit is NaN or infinite.
  static func maxima(
    of logits: UnsafeBufferPointer<Float>, into maxima: UnsafeMutableBufferPointer<Float>
  ) -> Float? {
    guard let base = logits.baseAddress else { return nil }
    let raw = UnsafeRawPointer(base)
    var largest = -Float.infinity
    // x - x is 0 for a finite x and NaN for the others; NaN survives the sum.
    var check = Vector(repeating: 0)
    var scalarCheck: Float = 0
    for index in maxima.indices {
      let range = range(ofBlock: index, count: logits.count)
      var best = Vector(repeating: -.infinity)
      var at = range.lowerBound
      while at + lanes <= range.upperBound {
        let x = raw.loadUnaligned(fromByteOffset: at * 4, as: Vector.self)
        check += x - x
        best.replace(with: x, where: x .> best)
        at += lanes
      }
      var top = best.max()
      while at < range.upperBound {
        let x = base[at]
        scalarCheck += x - x
        if x > top { top = x }
        at += 1
      }
      maxima[index] = top
      if top > largest { largest = top }
    }
    let finite = check.sum() == 0 && scalarCheck == 0
    return finite && largest.isFinite ? largest : nil
  }

  /// e^x for x <= 0, with a relative error below 4e-7. Arguments below -87 give at most 2e-38.
  ///
  /// 2^(x log2 e) is split into an integer, which becomes the exponent's bits, and a fraction within ±1/2,
  /// whose power of two is a Taylor polynomial of degree 6.
  @inline(__always)
  static func exponential(_ argument: Vector) -> Vector {
    var x = argument
    x.replace(with: -87, where: x .< -87)
    let t = x * 1.442_695_04
    // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
    let shifted = t + 12_582_912
    let f = t - (shifted - 12_582_912)
    var p = f * 1.540_353_04e-4 + 1.333_355_81e-3
    p = p * f + 9.618_129_1e-3
    p = p * f + 5.550_410_9e-2
    p = p * f + 0.240_226_507
    p = p * f + 0.693_147_181
    p = p * f + 1
    let integer = unsafeBitCast(shifted, to: SIMD8<UInt32>.self) &<< 23
    return unsafeBitCast(unsafeBitCast(p, to: SIMD8<UInt32>.self) &+ integer, to: Vector.self)
  }

  /// Sums over the row of e^(x - top) and of (x - top) e^(x - top), the two that give softmax and entropy.
  ///
  /// Blocks that lie more than 30 below the top are left out: together they add less than 2e-8 for 200,000
  /// tokens.
  static func softmaxSums(
    of logits: UnsafeBufferPointer<Float>, maxima: UnsafeMutableBufferPointer<Float>, top: Float
  ) -> (mass: Double, weighted: Double) {
    guard let base = logits.baseAddress else { return (0, 0) }
    let raw = UnsafeRawPointer(base)
    var mass = 0.0
    var weighted = 0.0
    for index in maxima.indices where maxima[index] > top - 30 {
      let range = range(ofBlock: index, count: logits.count)
      var sum = Vector(repeating: 0)
      var product = Vector(repeating: 0)
      var at = range.lowerBound
      while at + lanes <= range.upperBound {
        let x = raw.loadUnaligned(fromByteOffset: at * 4, as: Vector.self) - top
        let e = exponential(x)
        sum += e
        product += x * e
        at += lanes
      }
      mass += Double(sum.sum())
      weighted += Double(product.sum())
      if at < range.upperBound {
        var rest = Vector(repeating: -.greatestFiniteMagnitude)
        for lane in 0..<(range.upperBound - at) { rest[lane] = base[at + lane] - top }
        let e = exponential(rest)
        for lane in 0..<(range.upperBound - at) {
          mass += Double(e[lane])
          weighted += Double(rest[lane] * e[lane])
        }
      }
    }
    return (mass, weighted)
  }
}

/// The best few of many scored tokens, best first; of equal scores the lower id comes first.
struct TopTokens {
  struct Entry {
    var score: Double
    var token: TokenID
  }

  private let storage: UnsafeMutableBufferPointer<Entry>
  private(set) var count = 0

  /// - Parameter storage: uninitialised room for as many entries as are wanted, at least one.
  init(storage: UnsafeMutableBufferPointer<Entry>) { self.storage = storage }

  subscript(index: Int) -> Entry { storage[index] }

  /// A score must be above this to enter, or equal to it with a lower id.
  var floor: Double { count < storage.count ? -.infinity : storage[count - 1].score }

  mutating func insert(_ score: Double, _ token: TokenID) {
    var at = count
    if count == storage.count {
      let last = storage[count - 1]
      if score < last.score || (score == last.score && token > last.token) { return }
      at = count - 1
    } else {
      count += 1
    }
    while at > 0 {
      let above = storage[at - 1]
      if above.score > score || (above.score == score && above.token < token) { break }
      storage.baseAddress.unsafelyUnwrapped.advanced(by: at).initialize(to: above)
      at -= 1
    }
    storage.baseAddress.unsafelyUnwrapped.advanced(by: at).initialize(to: Entry(score: score, token: token))
  }
}
