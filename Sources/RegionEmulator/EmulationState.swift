import Foundation
import NIOConcurrencyHelpers
import NIOCore
import SplitMix
import StudyAnalysis

/// The queues of all regions, moved by requests from all connections.
final class EmulationState: Sendable {
  let emulated: EmulatedRegions
  let keys: KeyCheck
  /// Whether a network delays packets, so that answers need not be delayed here.
  let isDelayedOutside: Bool
  private let origin: Int64

  private struct Queues {
    var queues: [String: ServiceQueue]
    var random: SplitMix64
    /// For answers of all kinds.
    var lastNumber = 0
    var requests = 0
    var faults = 0
    var refusals = 0
    var connections = 0
    var connectionsRefused = 0
  }
  private let state: NIOLockedValueBox<Queues>

  init(_ emulated: EmulatedRegions, isDelayedOutside: Bool) {
    self.emulated = emulated
    self.isDelayedOutside = isDelayedOutside
    keys = KeyCheck(keys: emulated.keys)
    let origin = Self.monotonicNow()
    self.origin = origin
    var random = SplitMix64(seed: emulated.seed)
    var queues: [String: ServiceQueue] = [:]
    for site in emulated.sites {
      queues[site.region.name] = ServiceQueue(site, seed: random.next(), start: 0) { seconds in
        let time = emulated.start + seconds * emulated.acceleration
        return site.load(at: time, offset: site.region.utcOffset(at: Date(timeIntervalSince1970: time)))
      }
    }
    state = NIOLockedValueBox(Queues(queues: queues, random: random))
  }

  static func monotonicNow() -> Int64 { Int64(NIODeadline.now().uptimeNanoseconds) }

  /// Campaign time, seconds since 1970.
  var time: Double { emulated.start + Double(Self.monotonicNow() - origin) * 1e-9 * emulated.acceleration }

  func site(_ region: String) -> EmulatedRegions.Site? { emulated.sites.first { $0.region.name == region } }

  /// What a request meets.
  struct Arrival {
    /// Nil where it does not get into the queue: for a fault that refuses it, or for want of room.
    var visit: ServiceQueue.Visit?
    var fault: EmulatedRegions.FaultKind?
    /// Seconds to hold the answer back, which is what a network would take.
    var delay: Double
  }

  func arrive(_ request: EmulatedRequest, site: EmulatedRegions.Site, roundTrip: Double, at time: Int64)
    -> Arrival
  {
    state.withLockedValue { state in
      state.requests += 1
      var draw = state.random.uniform()
      let fault = site.faults.first { fault in
        draw -= fault.share
        return draw < 0
      }?.kind
      if fault != nil { state.faults += 1 }
      var arrival = Arrival(visit: nil, fault: fault, delay: isDelayedOutside ? 0 : roundTrip)
      if emulated.jitter > 0, !isDelayedOutside {
        arrival.delay +=
          state.random.exponential(mean: emulated.jitter) + state.random.exponential(mean: emulated.jitter)
      }
      guard fault?.refusal == nil else { return arrival }
      guard var queue = state.queues.removeValue(forKey: request.region) else {
        preconditionFailure("every site has a queue")
      }
      arrival.visit = queue.arrive(at: Double(time - origin) * 1e-9, tokens: request.tokens)
      state.queues[request.region] = queue
      return arrival
    }
  }

  /// The id of the next answer, which its headers and the log tell.
  func nextID() -> String {
    let number = state.withLockedValue { state in
      state.lastNumber += 1
      return state.lastNumber
    }
    return "\(emulated.name)-\(number)"
  }

  func noteRefusal() { state.withLockedValue { $0.refusals += 1 } }

  /// - Returns: whether there is room for another connection; then `disconnected` is to be called when it ends
  func connected(limit: Int) -> Bool {
    state.withLockedValue { state in
      guard state.connections < limit else {
        state.connectionsRefused += 1
        return false
      }
      state.connections += 1
      return true
    }
  }

  func disconnected() { state.withLockedValue { $0.connections -= 1 } }

  var statistics: RegionEmulator.Statistics {
    state.withLockedValue {
      RegionEmulator.Statistics(
        requests: $0.requests, refusals: $0.refusals, faults: $0.faults, connections: $0.connections,
        connectionsRefused: $0.connectionsRefused, logLinesLost: 0)
    }
  }
}
