/// How much of the time to first token is the network's.
///
/// A fresh connection crosses the network once for TCP's handshake, once for TLS 1.3's (twice for 1.2's) and once for
/// the request and its first answer. Whatever else passes between the request and the first content is the service:
/// queue, prefill, first token.
public struct NetworkShare: Sendable, Equatable {
  /// One probe, in seconds.
  public struct Probe: Sendable, Equatable {
    public var nameLookup: Double
    public var connect: Double
    public var handshake: Double
    /// From the request written to the first content.
    public var request: Double
    /// The path's own round trip (the kernel's estimate); nil: the time of TCP's connect, which is one round trip.
    public var roundTrip: Double?

    public init(
      nameLookup: Double, connect: Double, handshake: Double, request: Double, roundTrip: Double? = nil
    ) {
      self.nameLookup = nameLookup
      self.connect = connect
      self.handshake = handshake
      self.request = request
      self.roundTrip = roundTrip
    }

    /// Time to first token of a new connection.
    public var cold: Double { nameLookup + connect + handshake + request }
    /// Of the request alone: one round trip, at most all of it.
    public var requestNetwork: Double { min(request, roundTrip ?? connect) }
    public var coldNetwork: Double { nameLookup + connect + handshake + requestNetwork }
  }

  /// Sum of the network's time over the sum of all time, 0...1.
  public var ofCold: Double
  public var ofRequest: Double
  /// How much of the *variation* of the request's time the round trip explains: the square of Spearman's rank
  /// correlation. A constant network may be most of the mean and explain nothing of the tail.
  public var ofVariation: Double
  public var count: Int

  /// - Returns: nil without a probe. Failed probes have no phases to tell apart, and do not belong here.
  public init?(_ probes: [Probe]) {
    let cold = probes.reduce(0) { $0 + $1.cold }
    let request = probes.reduce(0) { $0 + $1.request }
    guard cold > 0 else { return nil }
    count = probes.count
    ofCold = probes.reduce(0) { $0 + $1.coldNetwork } / cold
    ofRequest = request > 0 ? probes.reduce(0) { $0 + $1.requestNetwork } / request : 0
    let correlation = Self.correlation(
      Self.ranks(probes.map { $0.roundTrip ?? $0.connect }), Self.ranks(probes.map(\.request)))
    ofVariation = correlation * correlation
  }

  /// From 1; equal values share the mean of their ranks.
  private static func ranks(_ values: [Double]) -> [Double] {
    let order = values.indices.sorted { values[$0] < values[$1] }
    var ranks = [Double](repeating: 0, count: values.count)
    var begin = 0
    while begin < order.count {
      var end = begin + 1
      while end < order.count, values[order[end]] == values[order[begin]] { end += 1 }
      for index in order[begin..<end] { ranks[index] = Double(begin + end + 1) / 2 }
      begin = end
    }
    return ranks
  }

  private static func correlation(_ a: [Double], _ b: [Double]) -> Double {
    let mean = Double(a.count + 1) / 2
    var (products, left, right) = (0.0, 0.0, 0.0)
    for (x, y) in zip(a, b) {
      products += (x - mean) * (y - mean)
      left += (x - mean) * (x - mean)
      right += (y - mean) * (y - mean)
    }
    return left > 0 && right > 0 ? products / (left * right).squareRoot() : 0
  }
}
