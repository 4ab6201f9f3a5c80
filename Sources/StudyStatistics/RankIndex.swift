/// Finds order statistics of any union of stretches of a series without sorting it: a wavelet matrix over ranks.
///
/// A bootstrap asks for a quantile of hundreds of resampled series, each made of some dozens of blocks. Sorting each
/// costs O(n log n); here it costs O(blocks * log n) with nothing allocated. (Claude, Navarro and Ordonez, "The wavelet
/// matrix", 2015.) Where blocks are only a few slots long, counting the ranks costs less: O(n).
struct RankIndex {
  /// Values in order, for each rank.
  let sorted: [Double]
  private let bits: Int
  private let count: Int
  /// For each bit from the highest: of the first i places, how many have a zero there; `count + 1` for each bit.
  private var zeros: [Int32]
  /// Of each place's value.
  private let ranks: [Int32]

  /// - Complexity: O(n log n)
  init(_ values: [Double]) {
    count = values.count
    let order = values.indices.sorted { values[$0] < values[$1] || (values[$0] == values[$1] && $0 < $1) }
    sorted = order.map { values[$0] }
    var ranks = [Int32](repeating: 0, count: count)
    for (rank, index) in order.enumerated() { ranks[index] = Int32(rank) }
    self.ranks = ranks
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

  /// Stretches of places, and room to count in: kept from one replicate to the next.
  struct Sample {
    /// Half-open. `value(at:of:)` overwrites them.
    var stretches: [(start: Int, end: Int)] = []
    fileprivate var counts: [Int32] = []
  }

  /// The `index`-th smallest value (from 0) of the stretches together; places that lie in several count for each.
  ///
  /// - Complexity: O(min(stretches * log n, n + places in them))
  func value(at index: Int, of sample: inout Sample) -> Double {
    sample.stretches.count * bits < count
      ? descend(to: index, in: &sample.stretches) : tally(to: index, in: &sample)
  }

  private func tally(to index: Int, in sample: inout Sample) -> Double {
    sample.counts.removeAll(keepingCapacity: true)
    sample.counts.append(contentsOf: repeatElement(0, count: count))
    for (start, end) in sample.stretches {
      for place in start..<end { sample.counts[Int(ranks[place])] += 1 }
    }
    var left = index
    for rank in 0..<count {
      left -= Int(sample.counts[rank])
      if left < 0 { return sorted[rank] }
    }
    preconditionFailure("the stretches hold no more than \(index) values")
  }

  private func descend(to index: Int, in stretches: inout [(start: Int, end: Int)]) -> Double {
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
