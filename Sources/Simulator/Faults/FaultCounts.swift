/// What a run, or a campaign, has exercised. A campaign that tests nothing shows here.
public struct FaultCounts: Hashable, Sendable {
  public enum Counter: Int, CaseIterable, Sendable {
    // Faults that took effect.
    case cuts, silentCuts, partitions, delays, freezes, slowdowns, crashes, powerLosses, relocations
    case duplicatedFrames, truncatedFrames, corruptFrames
    case draftFailures, localFailures, cancellations
    // Target passes that failed: the engine broke, or said that it had no room; of those, passes of one session.
    case engineFailures, fullFailures, singleFailures
    case shutdowns, controllerCrashes, drains
    // What they led to.
    case connections, refusedConnections, handshakeTimeouts, controllerTimeouts, workerTimeouts
    case queueOverflows, undecodableFrames, controllerViolations, workerViolations, declines, resubmissions
    case hostileMessages, hostileBytes
    case refusals, stoppingRefusals, impossibleRequests, queued, preemptions, resumptions, retriedAlone
    case prefillPieces, sharedPasses, lateReleases, exclusions, displacements
    // The work.
    case sessions, events, frames, bytes, tokens, steps, pausedCommits, bubbles
    case expansions, lateExpansions, droppedExpansions, localExpansions, forgottenNodes
    case acceptedRemote, acceptedLocal, acceptedLookup
    // Comparisons of whole trees of both ends, and of what one expansion became.
    case mirrorComparisons, placementChecks

    /// Faults and what comes of them: each must happen in a campaign of some length.
    public static let faults: [Counter] = Array(allCases.prefix { $0 != .sessions })

    /// In words: "silent cuts".
    public var words: String {
      String("\(self)".flatMap { $0.isUppercase ? " \($0.lowercased())" : "\($0)" })
    }
  }

  private var values = [Int](repeating: 0, count: Counter.allCases.count)

  public init() {}

  public subscript(counter: Counter) -> Int {
    get { values[counter.rawValue] }
    set { values[counter.rawValue] = newValue }
  }

  public static func += (a: inout Self, b: Self) {
    for counter in Counter.allCases { a[counter] += b[counter] }
  }
}
