/// Finds order statistics of any union of stretches of a series without sorting it: a wavelet matrix over ranks.
///
/// A bootstrap asks for a quantile of hundreds of resampled series, each made of some dozens of blocks. Sorting each
/// costs O(n log n); here it costs O(blocks * log n) with nothing allocated. (Claude, Navarro and Ordonez, "The wavelet
/// matrix", 2015.)
struct RankIndex {
  /// Values in order, for each rank.
  let sorted: [Double]
  private let bits: Int
  private let count: Int
  /// For each bit from the highest: of the first i places, how many have a zero there; `count + 1` for each bit.
  private var zeros: [Int32]

  /// - Complexity: O(n log n)
  init(_ values: [Double]) {
    count = values.count
    let order = values.indices.sorted { values[$0] < values[$1] || (values[$0] == values[$1] && $0 < $1) }
    sorted = order.map { values[$0] }
    var ranks = [Int32](repeating: 0, count: count)
    for (rank, index) in order.enumerated() { ranks[index] = Int32(rank) }
    bits = max(1, Int.bitWidth - (max(1, count) - 1).leadingZeroBitCount)
    zeros = []
    zeros.reserveCapacity(bits * (count + 1))
    for bit in (0..<bits).reversed() {
      var seen: Int32 = 0
      zeros.append(0)
      var low: [Int32] = []
      var high: [Int32] = []
      for rank in ranks {
        if rank >> Int32(bit) & 1 == 0 {
          seen += 1
          low.append(rank)
        } else {
          high.append(rank)
        }
        zeros.append(seen)
      }
      ranks = low + high
    }
  }

  /// The `index`-th smallest value (from 0) of the stretches together; places that lie in several count for each.
  ///
  /// - Parameter stretches: half-open; overwritten
  /// - Complexity: O(stretches * log n)
  func value(at index: Int, of stretches: inout [(start: Int, end: Int)]) -> Double {
    var index = index
    var rank = 0
    for level in 0..<bits {
      let base = level * (count + 1)
      let all = Int(zeros[base + count])
      var low = 0
      for stretch in stretches { low += Int(zeros[base + stretch.end] - zeros[base + stretch.start]) }
      if index < low {
        for place in stretches.indices {
          stretches[place] = (
            Int(zeros[base + stretches[place].start]), Int(zeros[base + stretches[place].end])
          )
        }
      } else {
        index -= low
        rank |= 1 << (bits - 1 - level)
        for place in stretches.indices {
          let (start, end) = stretches[place]
          stretches[place] = (all + start - Int(zeros[base + start]), all + end - Int(zeros[base + end]))
        }
      }
    }
    return sorted[rank]
  }
}
