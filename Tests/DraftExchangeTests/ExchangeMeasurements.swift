import DraftExchange
import NIOPosix
import SpeculationCore
import SplitMix
import Synchronization
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Figures, not checks: `WANSPEC_MEASURE_EXCHANGE=1 swift test -c release --filter ExchangeMeasurements` prints
/// what docs/protocol.md quotes.
extension ExchangeTests {
  @Suite(.enabled(if: getenv("WANSPEC_MEASURE_EXCHANGE") != nil)) struct ExchangeMeasurements {
    private static let vocabulary = PeerVocabulary(size: 151_936, tokensHash: "aa", specialTokensHash: "bb")

    @Test(arguments: [0, 1, 2, 4]) func roundTrip(busyThreads: Int) async throws {
      let isDone = Done()
      let threads = NIOThreadPool(numberOfThreads: max(1, busyThreads))
      threads.start()
      for _ in 0..<busyThreads { threads.submit { _ in isDone.spin() } }
      let processorTime = clock()
      let times = try await measureRoundTrips(count: 2000)
      let perTrip = Double(clock() - processorTime) / Double(CLOCKS_PER_SEC) * 1e6 / Double(times.count)
      isDone.set()
      try await threads.shutdownGracefully()
      func at(_ share: Double) -> Double { times[Int(Double(times.count - 1) * share)].inMilliseconds * 1000 }
      print(
        "round trip, \(busyThreads) busy threads: p50 \(at(0.5)) us, p90 \(at(0.9)) us, p99 \(at(0.99)) us, "
          + "max \(at(1)) us" + (busyThreads == 0 ? ", processor time \(perTrip) us" : ""))
    }

    /// From `send` of a commit, through the worker's handler that answers it, to the controller's handler.
    private func measureRoundTrips(count: Int) async throws -> [Duration] {
      let listener = try WorkerListener(.test { $0.vocabulary = Self.vocabulary })
      let (answers, answer) = AsyncStream.makeStream(of: ContinuousClock.Instant.self)
      let attached = ListenerLog()
      let serving = Task {
        try await listener.run { event in
          if case .message = event { answer.yield(.now) } else { attached.append(event) }
        }
      }
      let port = try await listener.boundPort
      let worker = try ControllerConnection(.test(port: port) { $0.vocabulary = Self.vocabulary })
      let working = Task {
        try await worker.run { event in
          if case .message = event { worker.send(.expansion(SessionID(1), .test())) }
        }
      }
      let id = try await attached.attachedWorker()
      var times: [Duration] = []
      var iterator = answers.makeAsyncIterator()
      for step in 1...count {
        let start = ContinuousClock.now
        listener.send(.commit(SessionID(1), .init(position: step, tokens: [7])), to: id)
        guard let end = await iterator.next() else { break }
        times.append(end - start)
        try await Task.sleep(for: .milliseconds(1))
      }
      working.cancel()
      serving.cancel()
      _ = await (working.result, serving.result)
      return times.sorted()
    }

    @Test func bytes() async throws {
      let configuration = WorkerListener.Configuration.test {
        $0.vocabulary = Self.vocabulary
        $0.pingInterval = .seconds(30)
        $0.livenessTimeout = .seconds(60)
      }
      try await withListener(configuration) { listener, log, port in
        try await withWorker(.test(port: port) { $0.vocabulary = Self.vocabulary }) { worker, workerLog in
          _ = try await workerLog.welcome()
          let id = try await log.attachedWorker()
          for (candidates, batch) in [(1, 1), (4, 1), (8, 1), (4, 4), (4, 16), (8, 16)] {
            let bytes = try await measure(listener, id) {
              worker.send(Self.pass(candidates: candidates, nodes: batch, round: $0))
            }
            print(
              "expansion of \(candidates) candidates, \(batch) a pass: \(bytes.received / Double(batch)) bytes up, "
                + "\(bytes.sent / Double(batch)) bytes down")
          }
          for tokens in [1, 3, 8] {
            let bytes = try await measure(listener, id) { round in
              listener.send(
                .commit(
                  SessionID(12),
                  .init(
                    position: 500 + round,
                    tokens: (0..<tokens).map { TokenID(($0 * 7919 + round * 104729) % 151_936) })), to: id)
            }
            print("commit of \(tokens) tokens: \(bytes.sent) bytes down, \(bytes.received) bytes up")
          }
        }
      }
    }

    /// Bytes per round, each way.
    private func measure(
      _ listener: WorkerListener, _ worker: WorkerID, _ send: (_ round: Int) -> Void
    ) async throws -> (received: Double, sent: Double) {
      let rounds = 200
      try await Task.sleep(for: .milliseconds(50))
      let before = listener.traffic(of: worker)
      for round in 0..<rounds {
        send(round)
        try await Task.sleep(for: .milliseconds(2))
      }
      try await Task.sleep(for: .milliseconds(50))
      let after = listener.traffic(of: worker)
      return (
        Double(after.received - before.received) / Double(rounds),
        Double(after.sent - before.sent) / Double(rounds)
      )
    }

    private static func pass(candidates: Int, nodes: Int, round: Int) -> [WorkerMessage] {
      var random = SplitMix64(seed: UInt64(round))
      var firstChild = RemoteNodeID(5000 + round * nodes * candidates)
      return (0..<nodes).map { node in
        defer { firstChild += RemoteNodeID(candidates) }
        var rest: Float = 1
        let children = (0..<candidates).map { _ -> Candidate in
          let probability = rest * Float.random(in: 0.5...1, using: &random)
          rest -= probability
          return Candidate(token: .random(in: 0..<151_936, using: &random), probability: probability)
        }
        return .expansion(
          SessionID(12),
          Expansion(
            site: .node(RemoteNodeID(4000 + round * nodes + node)), firstChild: firstChild,
            distribution: Distribution(entropy: .random(in: 0...3, using: &random), candidates: children),
            knownPosition: 500 + round))
      }
    }
  }
}

/// A flag that busy loops watch.
private final class Done: Sendable {
  private let flag = Atomic<Bool>(false)

  func set() { flag.store(true, ordering: .relaxed) }

  func spin() {
    var sum = 0.0
    while !flag.load(ordering: .relaxed) {
      for step in 1...10_000 { sum += 1 / Double(step) }
    }
    withExtendedLifetime(sum) {}
  }
}
