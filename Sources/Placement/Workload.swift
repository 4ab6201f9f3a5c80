import Simulator
import StrictYAML

/// What has to be simulated, each different setup once.
struct Workload {
  /// Where the results of something that was asked for are found.
  struct Place: Hashable {
    fileprivate var document: Int
    /// Microseconds; nil where no link is used.
    fileprivate var roundTrip: Int64?
  }

  struct Compiled {
    /// Its points are all that there is to run.
    var scenario: Scenario
    /// Points by place: one for a round trip, several for baselines.
    fileprivate var indexes: [Place: [Int]]

    func points(_ place: Place) -> [Int] { indexes[place] ?? [] }
  }

  private struct Request {
    var document: YAMLDocument
    var roundTrips: Set<Int64> = []
  }

  /// Equal texts are equal scenarios.
  private var known: [String: Int] = [:]
  private var requests: [Request] = []

  /// - Parameter roundTrip: seconds, set in the document's link; nil: as the document says
  mutating func add(_ document: YAMLDocument, roundTrip: Double? = nil) -> Place {
    let text = document.canonicalText
    let index = known[text] ?? requests.count
    if index == requests.count {
      known[text] = index
      requests.append(Request(document: document))
    }
    let microseconds = roundTrip.map { Int64(($0 * 1e6).rounded()) }
    if let microseconds { requests[index].roundTrips.insert(microseconds) }
    return Place(document: index, roundTrip: microseconds)
  }

  /// Reads every scenario, and finds points that come to the same.
  ///
  /// - Returns: nil when nothing was asked for
  /// - Throws: for what is wrong in a document, or more points than a scenario may have
  func compiled(_ file: PlanFile) throws(YAMLError) -> Compiled? {
    var all: Scenario?
    var points: [Scenario.Point] = []
    var indexes: [Place: [Int]] = [:]
    var byIdentity: [String: Int] = [:]
    func add(_ scenario: Scenario, _ place: (Scenario.Point) -> Place) throws(YAMLError) {
      if all == nil { all = scenario }
      for point in scenario.points {
        let index = byIdentity[point.identity] ?? points.count
        if index == points.count {
          guard points.count < Scenario.maxPoints else {
            throw YAMLError(
              file.place, "the plan needs more than \(Scenario.maxPoints) simulations",
              hint: "plan for fewer sites, or give round trips in whole milliseconds")
          }
          byIdentity[point.identity] = index
          points.append(point)
        }
        indexes[place(point), default: []].append(index)
      }
    }
    for (number, request) in requests.enumerated() {
      guard !request.roundTrips.isEmpty else {
        try add(try Scenario(request.document, folder: file.folder)) { _ in Place(document: number) }
        continue
      }
      let sorted = request.roundTrips.sorted()
      // As many as a sweep takes.
      for start in stride(from: 0, to: sorted.count, by: 1000) {
        let some = sorted[start..<min(start + 1000, sorted.count)]
        let texts = Dictionary(uniqueKeysWithValues: some.map { ("\($0)us", $0) })
        var document = request.document
        try document.set("sweep", to: "{link.rtt: [\(some.map { "\($0)us" }.joined(separator: ", "))]}")
        try add(try Scenario(document, folder: file.folder)) { point in
          Place(document: number, roundTrip: point.place.first.flatMap { texts[$0.value] })
        }
      }
    }
    all?.points = points
    return all.map { Compiled(scenario: $0, indexes: indexes) }
  }
}
