import Simulator
import SpeculationCore
import SpeculationTesting
import SplitMix
import Testing

/// Who may run, and who waits.
struct AdmissionTests {
  func at(_ seconds: Double) -> Timestamp { Timestamp.zero.advanced(by: Duration(inSeconds: seconds)) }

  /// Everybody who can run now.
  private func admitted(_ admission: inout Admission, at now: Timestamp = .zero) -> [SessionID] {
    var ids: [SessionID] = []
    while let id = admission.admitNext(at: now) { ids.append(id) }
    return ids
  }

  @Test func sessionsRunUpToTheLimitAndThenWaitInOrder() {
    var admission = Admission(configuration: .init(maxRunning: 2, maxWaiting: 2, cells: 10_000))
    #expect(admission.request(SessionID(1), tokens: 10) == .queued)
    #expect(admission.request(SessionID(2), tokens: 10) == .queued)
    #expect(admitted(&admission) == [SessionID(1), SessionID(2)])
    #expect(admission.request(SessionID(3), tokens: 10) == .queued)
    #expect(admission.request(SessionID(4), tokens: 10) == .queued)
    guard case .refused(let retryAfter) = admission.request(SessionID(5), tokens: 10) else {
      Issue.record("not refused")
      return
    }
    #expect((.seconds(1)...(.seconds(120))).contains(retryAfter))
    #expect(admitted(&admission, at: at(1)) == [])
    #expect(admission.ended(SessionID(1), at: at(1)) == true)
    #expect(admitted(&admission, at: at(1)) == [], "its cells are not free yet")
    admission.released(SessionID(1))
    #expect(admitted(&admission, at: at(1)) == [SessionID(3)])
    #expect(admission.ended(SessionID(4), at: at(1)) == false)
    #expect(admission.waitingCount == 0)
  }

  @Test func aLongPromptWaitsForRoomAndNobodyOvertakesIt() {
    var admission = Admission(configuration: .init(cells: 1000, headroom: 50))
    for (id, tokens) in [(1, 500), (2, 600), (3, 10)] as [(UInt64, Int)] {
      #expect(admission.request(SessionID(id), tokens: tokens) == .queued)
    }
    #expect(admitted(&admission) == [SessionID(1)])
    _ = admission.ended(SessionID(1), at: at(1))
    #expect(admitted(&admission) == [])
    admission.released(SessionID(1))
    #expect(admitted(&admission, at: at(1)) == [SessionID(2), SessionID(3)])
  }

  @Test func whoCameLastMakesRoomAndComesBackFirst() {
    var admission = Admission(configuration: .init(cells: 400, headroom: 20))
    for id in 1...4 as ClosedRange<UInt64> {
      #expect(admission.request(SessionID(id), tokens: 100) == .queued)
    }
    #expect(admitted(&admission) == [SessionID(1), SessionID(2), SessionID(3)])
    let holding: (SessionID) -> Int = { _ in 100 }
    #expect(admission.grow(SessionID(1), to: 130, holding: holding) == .granted)
    #expect(admission.grow(SessionID(1), to: 200, holding: holding) == .waits(preempted: [SessionID(3)]))
    #expect(admission.grow(SessionID(1), to: 200, holding: holding) == .waits(preempted: []))
    #expect(admission.claimed <= 400)
    admission.released(SessionID(3))
    #expect(admission.grow(SessionID(1), to: 200, holding: holding) == .granted)
    #expect(admitted(&admission) == [])
    _ = admission.ended(SessionID(2), at: at(1))
    admission.released(SessionID(2))
    #expect(admitted(&admission, at: at(1)) == [SessionID(3)])
  }

  /// Who needs cells and was admitted last of all makes room itself: the others were there before.
  @Test func theLastOneMakesRoomForTheOthersEvenWhenItIsTheOneThatGrows() {
    var admission = Admission(configuration: .init(cells: 300, headroom: 10))
    for id in 1...2 as ClosedRange<UInt64> { _ = admission.request(SessionID(id), tokens: 140) }
    #expect(admitted(&admission) == [SessionID(1), SessionID(2)])
    #expect(
      admission.grow(SessionID(2), to: 200) { _ in 150 } == .waits(preempted: [SessionID(2)]))
    #expect(admission.runningCount == 1 && admission.waitingCount == 1)
  }

  @Test func aSessionAloneHasTheWholeCache() {
    var admission = Admission(configuration: .init(cells: 100, headroom: 64))
    #expect(admission.request(SessionID(1), tokens: 99) == .queued)
    #expect(admitted(&admission) == [SessionID(1)])
    #expect(admission.grow(SessionID(1), to: 100) { _ in 99 } == .granted)
    #expect(admission.claimed == 100)
  }

  @Test func whatCanNeverFitIsRefusedAtOnce() {
    var admission = Admission(configuration: .init(cells: 100))
    #expect(admission.request(SessionID(1), tokens: 101) == .impossible)
  }

  @Test func randomHistoriesKeepTheBudgetAndLoseNobody() throws {
    try forEachSeed(count: 200) { seed in try history(seed: seed) }
  }

  private func history(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let configuration = Admission.Configuration(
      maxRunning: Int.random(in: 1...8, using: &random), maxWaiting: Int.random(in: 0...5, using: &random),
      cells: Int.random(in: 200...2000, using: &random), headroom: Int.random(in: 1...100, using: &random))
    var admission = Admission(configuration: configuration)
    var running: [SessionID: Int] = [:]
    var waiting: [SessionID: Int] = [:]
    var releasing: Set<SessionID> = []
    var next: UInt64 = 0
    func expect(_ condition: Bool, _ what: String) throws {
      if !condition { throw CheckFailure(what) }
    }
    for step in 0..<400 {
      let now = at(Double(step))
      switch Int.random(in: 0..<5, using: &random) {
      case 0:
        next += 1
        let tokens = Int.random(in: 1...150, using: &random)
        switch admission.request(SessionID(next), tokens: tokens) {
        case .queued: waiting[SessionID(next)] = tokens
        case .refused: try expect(waiting.count >= configuration.maxWaiting, "refused with room in the queue")
        case .impossible: throw CheckFailure("\(tokens) tokens fit \(configuration.cells) cells")
        }
      case 1:
        guard let id = running.keys.sorted().randomElement(using: &random) else { continue }
        let wanted = min(running[id]! + Int.random(in: 1...40, using: &random), configuration.cells)
        switch admission.grow(id, to: wanted, holding: { running[$0]! }) {
        case .granted: running[id] = wanted
        case .waits(let preempted):
          let oldest = admission.runningSessions.first
          for other in preempted {
            waiting[other] = running.removeValue(forKey: other)
            try expect(waiting[other] != nil, "preempts \(other), which does not run")
            try expect(releasing.insert(other).inserted, "preempts \(other) twice")
            try expect(other != oldest, "preempts the oldest")
          }
        }
      case 2:
        guard let id = (Array(running.keys) + waiting.keys).sorted().randomElement(using: &random) else {
          continue
        }
        let hadCells = running.removeValue(forKey: id) != nil
        waiting[id] = nil
        try expect(admission.ended(id, at: now) == hadCells, "\(id) ends, cells \(hadCells)")
        if hadCells { releasing.insert(id) }
      case 3:
        guard let id = releasing.sorted().randomElement(using: &random) else { continue }
        releasing.remove(id)
        admission.released(id)
      default:
        for id in admitted(&admission, at: now) {
          try expect(!releasing.contains(id), "\(id) runs while its cells are being freed")
          running[id] = waiting.removeValue(forKey: id)
          try expect(running[id] != nil, "admits \(id), which did not wait")
        }
      }
      if let broken = admission.brokenInvariant { throw CheckFailure(broken) }
      try expect(
        admission.runningCount == running.count && admission.waitingCount == waiting.count, "somebody is lost"
      )
      for (id, tokens) in running {
        try expect(admission.claim(of: id)! >= tokens, "\(id) holds more than it claimed")
      }
      if running.isEmpty, releasing.isEmpty, !waiting.isEmpty {
        var copy = admission
        try expect(copy.admitNext(at: now) != nil, "nobody runs, and nobody may")
      }
    }
  }
}
