import SplitMix
import StudyAnalysis

/// A queue in front of equal servers (G/G/c, first come first served), with background requests that come at random
/// (a Poisson process whose rate follows the time of day). Pure: time is given.
///
/// It moves only when somebody asks, to the time at which they ask. Where as many wait as the site has room for, nobody
/// else is let in: requests in the background are lost, others learn it.
public struct ServiceQueue: Sendable {
  /// What a request gets. Times in seconds.
  public struct Visit: Sendable, Equatable {
    /// From its arrival to the start of its service.
    public var wait: Double
    public var prefill: Double
    /// Between tokens; one fewer than tokens.
    public var gaps: [Double]
    /// Requests that were in service or waited when it came.
    public var ahead: Int
  }

  private let site: EmulatedRegions.Site
  /// Utilisation at a real time.
  private let load: @Sendable (Double) -> Double
  private var random: SplitMix64
  /// When each server is free.
  private var free: [Double]
  /// The end of each request that may still be there, in no order.
  private var ends: [Double] = []
  /// When the service of each request that had to wait starts, in order of arrival: first come, first served.
  private var starts: [Double] = []
  /// Those of `starts` that are over.
  private var startsPassed = 0
  private var now: Double
  private var nextArrival: Double

  /// Mean services that background requests are drawn for before anybody asks: by then the queue has forgotten how it
  /// began.
  private static let warmUp = 200.0

  /// - Parameters:
  ///   - start: the time of the first request, at the earliest
  ///   - load: utilisation at a time, 0 to below 1
  public init(
    _ site: EmulatedRegions.Site, seed: UInt64, start: Double, load: @escaping @Sendable (Double) -> Double
  ) {
    self.site = site
    self.load = load
    random = SplitMix64(seed: seed)
    free = Array(repeating: 0, count: site.servers)
    now = start - Self.warmUp * site.meanService
    nextArrival = now
    for index in free.indices { free[index] = now }
    nextArrival = now + drawGap()
    // Now, and not when the first request comes: it would have to wait for the arithmetic.
    advance(to: start)
  }

  /// Arrivals at the highest rate, of which `advance` keeps as many as the load asks for (thinning, Lewis and Shedler
  /// 1979).
  private var highestRate: Double { Double(site.servers) / site.meanService }

  private mutating func drawGap() -> Double { random.exponential(mean: 1 / highestRate) }

  private mutating func advance(to time: Double) {
    // After a long silence the queue is the same as after the warm-up.
    let earliest = time - Self.warmUp * site.meanService
    if nextArrival < earliest { nextArrival = earliest }
    while nextArrival <= time {
      if random.uniform() < load(nextArrival) {
        // Drawn in any case, so that what is drawn later does not depend on who was let in.
        let tokens = random.geometric(mean: Double(site.tokens))
        let factor = random.factor(sigma: site.sigma)
        if hasRoom(at: nextArrival) { _ = serve(at: nextArrival, tokens: tokens, factor: factor) }
      }
      nextArrival += drawGap()
    }
    now = time
  }

  /// - Parameter time: not before the last one
  /// - Returns: nil where as many wait already as there is room for
  public mutating func arrive(at time: Double, tokens: Int) -> Visit? {
    advance(to: max(time, now))
    let factor = random.factor(sigma: site.sigma)
    guard hasRoom(at: now) else { return nil }
    ends.removeAll { $0 <= now }
    let ahead = ends.count
    let wait = serve(at: now, tokens: tokens, factor: factor)
    return Visit(
      wait: wait, prefill: site.prefill * factor,
      gaps: Array(repeating: site.perToken * factor, count: max(0, tokens - 1)), ahead: ahead)
  }

  private mutating func hasRoom(at time: Double) -> Bool {
    waiting(at: time) < site.queue || free.contains { $0 <= time }
  }

  /// Requests whose service has not started. Those who come first start first, so the starts are in order.
  private mutating func waiting(at time: Double) -> Int {
    while startsPassed < starts.count, starts[startsPassed] <= time { startsPassed += 1 }
    if startsPassed == starts.count || startsPassed > 1000 {
      starts.removeFirst(startsPassed)
      startsPassed = 0
    }
    return starts.count - startsPassed
  }

  /// - Returns: seconds until its service starts
  private mutating func serve(at time: Double, tokens: Int, factor: Double) -> Double {
    var server = 0
    for index in free.indices where free[index] < free[server] { server = index }
    let start = max(time, free[server])
    free[server] = start + (site.prefill + site.perToken * Double(tokens)) * factor
    if start > time { starts.append(start) }
    if ends.count > 4 * site.servers { ends.removeAll { $0 <= time } }
    ends.append(free[server])
    return start - time
  }
}
