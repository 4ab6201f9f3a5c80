/// How many streams a target carries: the largest number for which a run keeps to a limit.
///
/// Doubles from the fewest streams until a run fails, then bisects between the last that held and that one. The
/// answer is exact for the runs that were made: it held, and one stream more was run and failed (or is out of range).
///
/// More streams are not always worse (passes come in blocks, waves of requests meet or miss each other), so that is
/// not assumed: the answer is the largest number *below every one that failed*, since an operator who promises n
/// streams must also carry fewer. After the first failure the search looks once at twice as many; what held beyond
/// the answer, there or on the way, is in `beyond`, so that a report can say that the limit is not a clean edge.
/// Numbers between those that were run are not known: about 2 log2(n) runs decide, not n.
public struct CapacitySearch: Hashable, Sendable {
  public let streams: ClosedRange<Int>

  public init(streams: ClosedRange<Int> = 1...512) {
    precondition(streams.lowerBound >= 1, "a target that carries no stream needs no run")
    self.streams = streams
  }

  public struct Run<Figures> {
    public var streams: Int
    public var figures: Figures
    public var holds: Bool
  }

  public struct Result<Figures> {
    /// 0: not even the fewest held.
    public let streams: Int
    /// In the order of their streams, each number at most once.
    public let runs: [Run<Figures>]
    /// Whether no more would have held only because no more were allowed.
    public let isBounded: Bool

    /// At the answer; nil when it is 0.
    public var figures: Figures? { runs.last { $0.streams == streams }?.figures }
    /// Numbers above one that failed and that held nevertheless.
    public var beyond: [Int] { runs.filter { $0.holds && $0.streams > streams }.map(\.streams) }
  }

  /// - Parameters:
  ///   - run: one run with so many streams; equal numbers must give equal figures
  ///   - holds: whether a run kept to the limit
  public func result<Figures, Failure: Error>(
    holds: (Figures) -> Bool, run: (Int) throws(Failure) -> Figures
  ) throws(Failure) -> Result<Figures> {
    var runs: [Run<Figures>] = []
    func tries(_ streams: Int) throws(Failure) -> Bool {
      if let known = runs.first(where: { $0.streams == streams }) { return known.holds }
      let figures = try run(streams)
      runs.append(Run(streams: streams, figures: figures, holds: holds(figures)))
      return runs.last!.holds
    }
    func doubled(_ count: Int) -> Int { count > streams.upperBound / 2 ? streams.upperBound : count * 2 }

    var good = streams.lowerBound - 1
    var bad: Int?
    var next = streams.lowerBound
    while bad == nil, good < streams.upperBound {
      if try tries(next) { good = next } else { bad = next }
      next = doubled(next)
    }
    if var bad {
      _ = try tries(doubled(bad))
      // Invariant: `good` held or is below the range, `bad` failed, and nothing below `bad` failed.
      while bad - good > 1 {
        let middle = good + (bad - good) / 2
        if try tries(middle) { good = middle } else { bad = middle }
      }
    }
    return Result(
      streams: good < streams.lowerBound ? 0 : good, runs: runs.sorted { $0.streams < $1.streams },
      isBounded: bad == nil)
  }
}

extension CapacitySearch.Run: Sendable where Figures: Sendable {}
extension CapacitySearch.Result: Sendable where Figures: Sendable {}
