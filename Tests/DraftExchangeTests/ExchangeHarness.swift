import DraftExchange
import SpeculationCore
import Synchronization
import Testing

/// Events in the order of their arrival, which a test can wait for.
final class EventLog<Event: Sendable>: Sendable {
  private let state = Mutex<[(event: Event, time: ContinuousClock.Instant)]>([])

  var all: [Event] { state.withLock { $0.map { $0.event } } }
  /// With the time when each was reported.
  var timed: [(event: Event, time: ContinuousClock.Instant)] { state.withLock { $0 } }

  func append(_ event: Event) { state.withLock { $0.append((event, .now)) } }

  /// The first event for which `select` gives a value.
  ///
  /// - Throws: ``TimedOut`` after `timeout`
  func first<Value>(
    within timeout: Duration = .seconds(30), _ what: String, _ select: (Event) -> Value?
  ) async throws -> Value {
    let deadline = ContinuousClock.now + timeout
    while true {
      if let value = all.lazy.compactMap(select).first { return value }
      if .now > deadline { throw TimedOut(what: what, events: "\(all)") }
      try await Task.sleep(for: .milliseconds(2))
    }
  }
}

/// Waits until `condition` holds.
///
/// - Throws: ``TimedOut`` after 30 s
func eventually(_ what: String, _ condition: () throws -> Bool) async throws {
  let deadline = ContinuousClock.now + .seconds(30)
  while try !condition() {
    if .now > deadline { throw TimedOut(what: what, events: "none") }
    try await Task.sleep(for: .milliseconds(2))
  }
}

struct TimedOut: Error, CustomStringConvertible {
  var what: String
  var events: String
  var description: String { "no \(what) in time; events: \(events)" }
}

typealias ListenerLog = EventLog<WorkerListener.Event>
typealias WorkerLog = EventLog<ControllerConnection.Event>

extension PeerVocabulary {
  static let small = PeerVocabulary(size: 1000, tokensHash: "aa", specialTokensHash: "bb")
}

extension WorkerListener.Configuration {
  static func test(
    port: Int = 0, _ change: (inout WorkerListener.Configuration) -> Void = { _ in }
  ) -> WorkerListener.Configuration {
    var configuration = WorkerListener.Configuration(
      port: port, controllerName: "controller", modelName: "target-model", modelSummary: "1.5B",
      vocabulary: .small)
    change(&configuration)
    return configuration
  }
}

extension ControllerConnection.Configuration {
  static func test(
    port: Int, _ change: (inout ControllerConnection.Configuration) -> Void = { _ in }
  ) -> ControllerConnection.Configuration {
    var configuration = ControllerConnection.Configuration(
      port: port,
      introduction: WorkerIntroduction(
        name: "worker", site: "lab", modelName: "draft-model", modelSummary: "0.5B", capacity: 4,
        passWidth: 16),
      vocabulary: .small)
    change(&configuration)
    return configuration
  }
}

/// Runs a listener for as long as `body` runs.
func withListener<Result: Sendable>(
  _ configuration: WorkerListener.Configuration = .test(),
  _ body: @Sendable (WorkerListener, ListenerLog, _ port: Int) async throws -> Result
) async throws -> Result {
  let listener = try WorkerListener(configuration)
  let log = ListenerLog()
  return try await running({ try await listener.run { log.append($0) } }) {
    try await body(listener, log, try await listener.boundPort)
  }
}

/// Runs a worker's connection for as long as `body` runs.
func withWorker<Result: Sendable>(
  _ configuration: ControllerConnection.Configuration,
  _ body: @Sendable (ControllerConnection, WorkerLog) async throws -> Result
) async throws -> Result {
  let worker = try ControllerConnection(configuration)
  let log = WorkerLog()
  return try await running({ try await worker.run { log.append($0) } }) { try await body(worker, log) }
}

/// Runs `service` beside `body`, cancels it afterwards and waits for its end.
func running<Result: Sendable>(
  _ service: @escaping @Sendable () async throws -> Void, _ body: @Sendable () async throws -> Result
) async throws -> Result {
  let task = Task { try await service() }
  do {
    let result = try await body()
    task.cancel()
    try await task.value
    return result
  } catch {
    task.cancel()
    _ = await task.result
    throw error
  }
}

extension ListenerLog {
  func attachedWorker(number: Int = 1) async throws -> WorkerID {
    try await first("worker \(number)") { event in
      if case .attached(let worker, _) = event, worker.rawValue == UInt64(number) { worker } else { nil }
    }
  }

  /// Waits for so many round trips.
  func roundTrips(atLeast count: Int) async throws -> [Duration] {
    var trips: [Duration] = []
    try await eventually("round trip \(count)") {
      trips = all.compactMap { if case .roundTrip(_, let trip) = $0 { trip } else { nil } }
      return trips.count >= count
    }
    return trips
  }

  func detachReason(of worker: WorkerID) async throws -> String {
    try await first("end of \(worker)") { event in
      if case .detached(worker, let reason) = event { reason } else { nil }
    }
  }

  func refusal() async throws -> String {
    try await first("refusal") { event in
      if case .refused(_, let reason) = event { reason } else { nil }
    }
  }

  var messages: [WorkerMessage] {
    all.compactMap { if case .message(_, let message) = $0 { message } else { nil } }
  }
}

extension WorkerLog {
  func welcome() async throws -> ControllerIntroduction {
    try await first("welcome") { if case .connected(let controller) = $0 { controller } else { nil } }
  }

  func disconnection() async throws -> String {
    try await first("disconnection") { if case .disconnected(let reason, _) = $0 { reason } else { nil } }
  }

  var messages: [ControllerMessage] {
    all.compactMap { if case .message(let message) = $0 { message } else { nil } }
  }
}

extension Expansion {
  static func test(node: RemoteNodeID = 1, firstChild: RemoteNodeID = 5, candidates: Int = 4) -> Expansion {
    // 1/2, 1/6, 1/12...: together below 1.
    let some = (0..<candidates).map { index in
      let probability: Float = 1 / Float((index + 1) * (index + 2))
      return Candidate(token: TokenID(index * 7), probability: probability)
    }
    return Expansion(
      site: .node(node), firstChild: firstChild, distribution: Distribution(entropy: 0.75, candidates: some),
      knownPosition: 40)
  }
}
