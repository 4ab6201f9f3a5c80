import Foundation
import NIOConcurrencyHelpers
import NIOCore
import StudyAnalysis

/// The queues of a sky, moved by requests from all connections.
final class SkyState: Sendable {
  let sky: Sky
  let keys: KeyCheck
  /// Whether a network delays packets, so that answers need not be delayed here.
  let isDelayedOutside: Bool
  private let origin: Int64

  private struct Queues {
    var queues: [String: ServiceQueue]
    var random: SeededRandom
    var requests = 0
  }
  private let state: NIOLockedValueBox<Queues>

  init(_ sky: Sky, isDelayedOutside: Bool) {
    self.sky = sky
    self.isDelayedOutside = isDelayedOutside
    keys = KeyCheck(keys: sky.keys)
    let origin = Self.monotonicNow()
    self.origin = origin
    var random = SeededRandom(seed: sky.seed)
    var queues: [String: ServiceQueue] = [:]
    for site in sky.sites {
      queues[site.region.name] = ServiceQueue(site, seed: random.next(), start: 0) { seconds in
        let time = sky.start + seconds * sky.acceleration
        return site.load(at: time, offset: site.region.utcOffset(at: Date(timeIntervalSince1970: time)))
      }
    }
    state = NIOLockedValueBox(Queues(queues: queues, random: random))
  }

  static func monotonicNow() -> Int64 { Int64(NIODeadline.now().uptimeNanoseconds) }

  /// Campaign time, seconds since 1970.
  var time: Double { sky.start + Double(Self.monotonicNow() - origin) * 1e-9 * sky.acceleration }

  func site(_ region: String) -> Sky.Site? { sky.sites.first { $0.region.name == region } }

  /// - Returns: what the request gets, and the fault that it meets
  func arrive(_ request: EmulatedRequest, site: Sky.Site, at time: Int64) -> (
    number: Int, visit: ServiceQueue.Visit, fault: Sky.FaultKind?
  ) {
    state.withLockedValue { state in
      state.requests += 1
      var draw = state.random.unit()
      let fault = site.faults.first { fault in
        draw -= fault.share
        return draw < 0
      }?.kind
      guard var queue = state.queues.removeValue(forKey: request.region) else {
        preconditionFailure("every site has a queue")
      }
      let visit = queue.arrive(at: Double(time - origin) * 1e-9, tokens: request.tokens)
      state.queues[request.region] = queue
      return (state.requests, visit, fault)
    }
  }

  var requests: Int { state.withLockedValue { $0.requests } }
}
