/// Durations in buckets that grow with them: quantiles over any number of samples in 60 KB.
///
/// A bucket is at most 1/128 of its values wide, and its middle stands for them, so a quantile is within 0.4% of a
/// sample of that rank. Whole numbers throughout: equal samples in any order give equal quantiles.
public struct LogHistogram: Hashable, Sendable {
  /// Values below are exact; above, each doubling has as many buckets.
  private static let perDoubling = 128
  private static let shift = 7

  /// By bucket; as long as the largest sample needs.
  private var counts: [Int] = []
  public private(set) var count = 0
  public private(set) var minimum: Int64 = 0
  public private(set) var maximum: Int64 = 0
  private var sum: Int128 = 0

  public init() {}

  /// - Parameter value: nanoseconds; below 0 counts as 0
  public mutating func add(_ value: Int64, times: Int = 1) {
    guard times > 0 else { return }
    let value = max(0, value)
    let bucket = Self.bucket(of: value)
    if bucket >= counts.count { counts += Array(repeating: 0, count: bucket + 1 - counts.count) }
    counts[bucket] += times
    minimum = count == 0 ? value : min(minimum, value)
    maximum = max(maximum, value)
    count += times
    sum += Int128(value) * Int128(times)
  }

  public mutating func merge(_ other: LogHistogram) {
    guard other.count > 0 else { return }
    if other.counts.count > counts.count {
      counts += Array(repeating: 0, count: other.counts.count - counts.count)
    }
    for (bucket, count) in other.counts.enumerated() { counts[bucket] += count }
    minimum = count == 0 ? other.minimum : min(minimum, other.minimum)
    maximum = max(maximum, other.maximum)
    count += other.count
    sum += other.sum
  }

  /// Nanoseconds; nil without samples.
  public var mean: Double? { count == 0 ? nil : Double(sum) / Double(count) }

  /// The sample of rank ceil(share * count), within 0.4%; nil without samples.
  public func quantile(_ share: Double) -> Int64? {
    guard count > 0 else { return nil }
    var left = Self.rank(share, of: count)
    // The ends are known exactly.
    if left == 1 { return minimum }
    if left == count { return maximum }
    for (bucket, count) in counts.enumerated() {
      left -= count
      if left <= 0 { return min(max(Self.middle(of: bucket), minimum), maximum) }
    }
    return maximum
  }

  /// From 1: the nearest rank, which is a sample and no mean of two.
  static func rank(_ share: Double, of count: Int) -> Int {
    // 0.95 * 20 is a little more than 19.
    min(max(Int((share * Double(count) - 1e-9).rounded(.up)), 1), count)
  }

  private static func bucket(of value: Int64) -> Int {
    guard value >= perDoubling else { return Int(value) }
    let doublings = 63 - value.leadingZeroBitCount - shift
    return (doublings + 1) * perDoubling + Int(value >> doublings) - perDoubling
  }

  private static func middle(of bucket: Int) -> Int64 {
    guard bucket >= perDoubling else { return Int64(bucket) }
    let doublings = bucket / perDoubling - 1
    let low = Int64(bucket % perDoubling + perDoubling) << doublings
    return low + (Int64(1) << doublings) / 2
  }
}
