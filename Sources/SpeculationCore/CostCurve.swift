/// How long one pass takes over how many tokens: T(n) of a target, d(b) of a draft.
///
/// Starts from measurements and follows what later passes report. Real engines have steps in this curve
/// (kernels work in blocks), so it is a table with linear interpolation, not a fitted line. It never falls with
/// the size: a point above a later one was measured while the machine was busy elsewhere.
public struct CostCurve: Hashable, Sendable {
  private var sizes: [Int] = []
  private var seconds: [Double] = []

  /// Share of a new observation in the entry for its size.
  private static let gain = 0.1
  /// Share of a new observation in the entries of all other sizes: follows drift (a longer context, a hotter
  /// machine) without forgetting the curve's shape.
  private static let drift = 0.03
  private static let maxEntries = 64

  public init(measured: [Int: Duration] = [:]) {
    for (size, duration) in measured.sorted(by: { $0.key < $1.key }) where size > 0 && duration > .zero {
      sizes.append(size)
      seconds.append(duration.inSeconds)
    }
    removeBumps()
  }

  /// Lowers points that lie above a later one.
  private mutating func removeBumps() {
    for index in seconds.indices.dropLast().reversed() {
      seconds[index] = min(seconds[index], seconds[index + 1])
    }
  }

  public var isKnown: Bool { !sizes.isEmpty }
  /// The measured points, ascending.
  public var points: [(size: Int, duration: Duration)] {
    zip(sizes, seconds).map { ($0, Duration(inSeconds: $1)) }
  }

  /// Seconds that a pass over `size` tokens is expected to take; nil while nothing is known.
  ///
  /// Between two known sizes it is interpolated; below the smallest it is that one's time; above the largest
  /// it grows with the slope between the smallest and the largest.
  public func seconds(for size: Int) -> Double? {
    guard let first = sizes.first, let last = sizes.last else { return nil }
    if size <= first { return seconds[0] }
    if size >= last {
      let top = seconds[seconds.count - 1]
      guard sizes.count > 1 else { return top }
      let slope = max(0, (top - seconds[0]) / Double(last - first))
      return top + slope * Double(size - last)
    }
    let upper = sizes.firstIndex { $0 >= size }!
    if sizes[upper] == size { return seconds[upper] }
    let share = Double(size - sizes[upper - 1]) / Double(sizes[upper] - sizes[upper - 1])
    return seconds[upper - 1] + share * (seconds[upper] - seconds[upper - 1])
  }

  /// Takes in how long a pass took.
  ///
  /// A single slow pass (the machine was busy elsewhere) moves the curve by a bounded amount. Sizes far
  /// beyond the table (a prefill) say nothing about small ones and are ignored.
  public mutating func observe(size: Int, duration: Duration) {
    let taken = duration.inSeconds
    guard size > 0, taken > 0 else { return }
    guard let last = sizes.last, let expected = seconds(for: size) else {
      sizes = [size]
      seconds = [taken]
      return
    }
    guard size <= max(4 * last, 16) else { return }
    let ratio = min(max(taken / expected, 0.5), 2)
    for index in seconds.indices { seconds[index] *= 1 + Self.drift * (ratio - 1) }
    if let index = sizes.firstIndex(of: size) {
      seconds[index] *= 1 + (Self.gain - Self.drift) * (ratio - 1)
    } else if sizes.count < Self.maxEntries {
      let index = sizes.firstIndex { $0 > size } ?? sizes.count
      sizes.insert(size, at: index)
      seconds.insert(expected * (1 + Self.drift * (ratio - 1)), at: index)
    }
    removeBumps()
  }
}
