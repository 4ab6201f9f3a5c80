import Simulator
import SpeculationCore
import SpeculationTesting
import SplitMix
import Testing

/// Which worker drafts for which session.
struct WorkerPoolTests {
  static let fast = CostCurve(measured: [1: .milliseconds(5), 8: .milliseconds(8)])
  static let slow = CostCurve(measured: [1: .milliseconds(40), 8: .milliseconds(320)])

  func profile(
    _ name: String, capacity: Int = 8, cost: CostCurve = fast, model: String = "draft"
  ) -> WorkerPool.Profile {
    WorkerPool.Profile(name: name, site: "here", model: model, capacity: capacity, draftCost: cost)
  }

  func at(_ seconds: Double) -> Timestamp { Timestamp.zero.advanced(by: Duration(inSeconds: seconds)) }

  /// A pool with workers 1, 2... of the given round trips in milliseconds.
  func pool(_ roundTrips: [Int], capacity: Int = 8, configuration: WorkerPool.Configuration = .init())
    -> WorkerPool
  {
    var pool = WorkerPool(configuration: configuration)
    for (index, roundTrip) in roundTrips.enumerated() {
      let id = WorkerID(UInt64(index + 1))
      pool.join(id, profile("w\(index + 1)", capacity: capacity), at: .zero)
      pool.measured(id, roundTrip: .milliseconds(roundTrip))
    }
    return pool
  }

  @Test func aSessionGoesToTheNearestWorker() {
    var pool = pool([150, 10, 80])
    pool.begin(SessionID(1))
    #expect(pool.decide(at: .zero, targetSeconds: 0.03) == [.place(SessionID(1), on: WorkerID(2))])
    #expect(pool.decide(at: at(1), targetSeconds: 0.03) == [])
  }

  @Test func aFullWorkerIsPassedOverAndTheNextSessionWaitsForAPlace() {
    var pool = pool([10, 80], capacity: 1)
    for session in 1...3 as ClosedRange<UInt64> { pool.begin(SessionID(session)) }
    #expect(
      pool.decide(at: .zero, targetSeconds: 0.03) == [
        .place(SessionID(1), on: WorkerID(1)), .place(SessionID(2), on: WorkerID(2)),
      ])
    pool.end(SessionID(1))
    #expect(pool.decide(at: at(1), targetSeconds: 0.03) == [.place(SessionID(3), on: WorkerID(1))])
    #expect(pool.brokenInvariant == nil)
  }

  /// Under load the near worker's drafts come later than those of an idle one further away.
  @Test func sessionsSpreadWhereLoadCostsMoreThanDistance() {
    var pool = WorkerPool()
    for id in 1...2 as ClosedRange<UInt64> {
      pool.join(WorkerID(id), profile("w\(id)", cost: Self.slow), at: .zero)
      pool.measured(WorkerID(id), roundTrip: .milliseconds(id == 1 ? 5 : 25))
    }
    for session in 1...4 as ClosedRange<UInt64> { pool.begin(SessionID(session)) }
    _ = pool.decide(at: .zero, targetSeconds: 0.1)
    let counts = [1, 2].map { worker in
      (1...4).count { pool.placements(of: SessionID(UInt64($0))) == [WorkerID(UInt64(worker))] }
    }
    #expect(counts == [2, 2])
  }

  @Test func aSessionMovesToAMuchBetterWorkerAndLeavesTheOldOneOnlyWhenTheNewOneAnswers() {
    var pool = pool([200])
    let session = SessionID(1)
    pool.begin(session)
    _ = pool.decide(at: .zero, targetSeconds: 0.03)
    pool.observe(WorkerID(1), session, WorkerTally(expansions: 4, foreseen: 2), tokens: 3)
    pool.join(WorkerID(2), profile("near"), at: at(1))
    pool.measured(WorkerID(2), roundTrip: .milliseconds(2))
    #expect(pool.decide(at: at(1), targetSeconds: 0.03) == [.place(session, on: WorkerID(2))])
    #expect(pool.decide(at: at(2), targetSeconds: 0.03) == [])
    #expect(pool.placements(of: session) == [WorkerID(1), WorkerID(2)])
    pool.observe(WorkerID(2), session, WorkerTally(expansions: 1), tokens: 1)
    #expect(pool.decide(at: at(3), targetSeconds: 0.03) == [.displace(session, from: WorkerID(1))])
    // It is not given back: what the old worker sent last may still be under way.
    pool.leave(WorkerID(2))
    #expect(pool.decide(at: at(9), targetSeconds: 0.03) == [])
  }

  @Test func aSmallDifferenceMovesNothing() {
    var pool = pool([20])
    pool.begin(SessionID(1))
    _ = pool.decide(at: .zero, targetSeconds: 0.03)
    pool.observe(WorkerID(1), SessionID(1), WorkerTally(expansions: 4, foreseen: 3), tokens: 3)
    pool.join(WorkerID(2), profile("w2"), at: at(1))
    pool.measured(WorkerID(2), roundTrip: .milliseconds(15))
    #expect(pool.decide(at: at(5), targetSeconds: 0.03) == [])
  }

  @Test func aDrainingWorkerIsLeftForAnotherAndKeptWhereThereIsNone() {
    var pool = pool([10])
    let session = SessionID(1)
    pool.begin(session)
    _ = pool.decide(at: .zero, targetSeconds: 0.03)
    pool.drain(WorkerID(1))
    #expect(pool.decide(at: at(1), targetSeconds: 0.03) == [])
    pool.begin(SessionID(2))
    #expect(pool.decide(at: at(2), targetSeconds: 0.03) == [])
    pool.join(WorkerID(2), profile("w2"), at: at(3))
    #expect(
      pool.decide(at: at(3), targetSeconds: 0.03) == [
        .place(session, on: WorkerID(2)), .place(SessionID(2), on: WorkerID(2)),
      ])
    // The new one never answers: the old one's time is up all the same.
    #expect(pool.decide(at: at(9), targetSeconds: 0.03) == [.displace(session, from: WorkerID(1))])
  }

  @Test func aSecondWorkerHedgesWhereItIsAskedFor() {
    var pool = pool([10, 30, 90], configuration: .init(workersPerSession: 2))
    pool.begin(SessionID(1))
    #expect(
      pool.decide(at: .zero, targetSeconds: 0.03) == [
        .place(SessionID(1), on: WorkerID(1)), .place(SessionID(1), on: WorkerID(2)),
      ])
    pool.leave(WorkerID(1))
    #expect(pool.decide(at: at(1), targetSeconds: 0.03) == [.place(SessionID(1), on: WorkerID(3))])
  }

  @Test func aWorkerThatDeclinedIsNotAskedAgainForThatSession() {
    var pool = pool([10])
    pool.begin(SessionID(1))
    _ = pool.decide(at: .zero, targetSeconds: 0.03)
    pool.decline(SessionID(1), by: WorkerID(1))
    #expect(pool.decide(at: at(1), targetSeconds: 0.03) == [])
    pool.begin(SessionID(2))
    #expect(pool.decide(at: at(2), targetSeconds: 0.03) == [.place(SessionID(2), on: WorkerID(1))])
  }

  @Test func aWorkerWhoseExpansionsNeverHelpIsExcludedForAWhile() {
    var pool = pool([10])
    pool.begin(SessionID(1))
    _ = pool.decide(at: .zero, targetSeconds: 0.03)
    for _ in 0..<10 { pool.observe(WorkerID(1), SessionID(1), WorkerTally(expansions: 100), tokens: 3) }
    #expect(pool.decide(at: at(1), targetSeconds: 0.03) == [])
    #expect(pool.describe(WorkerID(1))!.score < 0.2)
    pool.observe(WorkerID(1), SessionID(1), WorkerTally(expansions: 100), tokens: 3)
    guard case .exclude(WorkerID(1), _, let reason)? = pool.decide(at: at(2), targetSeconds: 0.03).first
    else {
      Issue.record("not excluded")
      return
    }
    #expect(reason.contains("hardly any helped"))
    #expect(pool.placements(of: SessionID(1)) == [])
    pool.join(WorkerID(2), profile("w1"), at: at(3))
    guard case .exclude(WorkerID(2), _, let again)? = pool.decide(at: at(3), targetSeconds: 0.03).first else {
      Issue.record("let in again")
      return
    }
    #expect(again.contains("599 s"))
    pool.join(WorkerID(3), profile("w1"), at: at(603))
    #expect(pool.decide(at: at(603), targetSeconds: 0.03) == [.place(SessionID(1), on: WorkerID(3))])
  }

  @Test func aDraftThatForeseesItsShareKeepsItsScore() {
    var pool = pool([10])
    pool.begin(SessionID(1))
    _ = pool.decide(at: .zero, targetSeconds: 0.03)
    for _ in 0..<100 {
      pool.observe(WorkerID(1), SessionID(1), WorkerTally(expansions: 100, late: 50, foreseen: 5), tokens: 6)
    }
    #expect(pool.decide(at: at(2), targetSeconds: 0.03) == [])
    #expect(pool.describe(WorkerID(1))!.score == 1)
  }

  @Test func repeatedBreachesOfTheProtocolExclude() {
    var pool = WorkerPool()
    for turn in 1...3 as ClosedRange<UInt64> {
      pool.join(WorkerID(turn), profile("liar"), at: at(Double(turn)))
      #expect(pool.decide(at: at(Double(turn)), targetSeconds: nil) == [])
      pool.violated(WorkerID(turn), "it lied", at: at(Double(turn)))
      pool.leave(WorkerID(turn))
    }
    pool.join(WorkerID(4), profile("liar"), at: at(5))
    guard case .exclude(WorkerID(4), _, let reason)? = pool.decide(at: at(5), targetSeconds: nil).first else {
      Issue.record("let in")
      return
    }
    #expect(reason.contains("3 times") && reason.contains("it lied"))
  }

  /// The prediction is at most T, falls with nearness, and a busy worker promises less.
  @Test func predictionsAreInOrder() {
    var last = 0.0
    for roundTrip in [0, 10, 30, 100, 1000, 100_000] {
      let pool = pool([roundTrip])
      let seconds = pool.predictedSecondsPerToken(on: WorkerID(1), targetSeconds: 0.03)!
      #expect(seconds > last && seconds <= 0.03)
      last = seconds
    }
    #expect(last > 0.0299)
  }

  /// Whatever happens, both sides of every placement agree, capacities hold, and who could draft does.
  @Test func randomHistoriesKeepTheInvariants() throws {
    try forEachSeed(count: 200) { seed in try history(seed: seed) }
  }

  private func history(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    var pool = WorkerPool(
      configuration: .init(workersPerSession: Int.random(in: 1...2, using: &random), handover: .seconds(2)))
    var nextWorker: UInt64 = 0
    var nextSession: UInt64 = 0
    var workers: [WorkerID] = []
    var sessions: [SessionID] = []
    var placed: Set<[UInt64]> = []
    for step in 0..<300 {
      let now = at(Double(step) * 0.5)
      switch Int.random(in: 0..<12, using: &random) {
      case 0, 1:
        nextWorker += 1
        workers.append(WorkerID(nextWorker))
        pool.join(
          WorkerID(nextWorker), profile("w\(nextWorker)", capacity: Int.random(in: 1...3, using: &random)),
          at: now)
      case 2 where !workers.isEmpty:
        let gone = workers.remove(at: Int.random(in: workers.indices, using: &random))
        pool.leave(gone)
        placed = placed.filter { $0[1] != gone.rawValue }
      case 3 where !workers.isEmpty: pool.drain(workers.randomElement(using: &random)!)
      case 4, 5, 6:
        nextSession += 1
        sessions.append(SessionID(nextSession))
        pool.begin(SessionID(nextSession))
      case 7 where !sessions.isEmpty:
        let ended = sessions.remove(at: Int.random(in: sessions.indices, using: &random))
        pool.end(ended)
        placed = placed.filter { $0[0] != ended.rawValue }
      case 8 where !workers.isEmpty:
        pool.measured(
          workers.randomElement(using: &random)!,
          roundTrip: .milliseconds(Int.random(in: 1...300, using: &random)))
      case 9 where !placed.isEmpty:
        let pair = placed.sorted { $0.lexicographicallyPrecedes($1) }.randomElement(using: &random)!
        pool.decline(SessionID(pair[0]), by: WorkerID(pair[1]))
        placed.remove(pair)
      default:
        for pair in placed {
          pool.observe(
            WorkerID(pair[1]), SessionID(pair[0]), WorkerTally(expansions: 3, late: 1, foreseen: 1), tokens: 2
          )
        }
      }
      for action in pool.decide(at: now, targetSeconds: 0.03) {
        switch action {
        case .place(let session, let worker):
          #expect(sessions.contains(session) && workers.contains(worker), "seed \(seed), step \(step)")
          #expect(placed.insert([session.rawValue, worker.rawValue]).inserted, "seed \(seed), step \(step)")
        case .displace(let session, let worker):
          #expect(placed.remove([session.rawValue, worker.rawValue]) != nil, "seed \(seed), step \(step)")
        case .exclude(let worker, _, let reason):
          throw CheckFailure("\(worker) excluded: \(reason)")
        }
      }
      #expect(pool.brokenInvariant == nil, "seed \(seed), step \(step)")
      for session in sessions {
        let known = Set(placed.filter { $0[0] == session.rawValue }.map { WorkerID($0[1]) })
        #expect(Set(pool.placements(of: session)) == known, "seed \(seed), step \(step)")
      }
    }
  }
}
