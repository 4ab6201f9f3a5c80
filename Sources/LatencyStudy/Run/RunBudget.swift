/// What a run may still send and spend. Pure.
package struct RunBudget: Sendable, Equatable {
  package var maxRequests: Int?
  package var maxUSD: Double?
  package private(set) var sent: Int
  package private(set) var usd: Double
  /// For what is under way, at most.
  private var reserved = 0.0

  package init(maxRequests: Int?, maxUSD: Double?, sent: Int, usd: Double) {
    self.maxRequests = maxRequests
    self.maxUSD = maxUSD
    self.sent = sent
    self.usd = usd
  }

  /// Sets aside what requests may cost.
  ///
  /// - Returns: nil when they may go out; otherwise the limit that forbids it
  package mutating func reserve(requests: Int, usd cost: Double) -> String? {
    if let maxRequests, sent + requests > maxRequests { return "\(maxRequests) requests" }
    if let maxUSD, usd + reserved + cost > maxUSD { return "\(maxUSD) USD" }
    sent += requests
    reserved += cost
    return nil
  }

  /// Replaces a reservation by what was really sent and spent.
  package mutating func settle(reserved cost: Double, requests: Int, sent really: Int, usd: Double) {
    reserved = max(0, reserved - cost)
    sent -= requests - really
    self.usd += usd
  }
}
