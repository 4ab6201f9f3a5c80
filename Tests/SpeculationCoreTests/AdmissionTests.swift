import Simulator
import SpeculationCore
import SpeculationTesting
import Testing

/// Who may run, and who waits.
struct AdmissionTests {
  func at(_ seconds: Double) -> Timestamp { Timestamp.zero.advanced(by: Duration(inSeconds: seconds)) }

  @Test func sessionsRunUpToTheLimitAndThenWaitInOrder() {
    var admission = Admission(configuration: .init(maxRunning: 2, maxWaiting: 2, cacheTokens: 10_000))
    #expect(admission.request(SessionID(1), tokens: 10, at: .zero) == .admitted)
    #expect(admission.request(SessionID(2), tokens: 10, at: .zero) == .admitted)
    #expect(admission.request(SessionID(3), tokens: 10, at: .zero) == .queued)
    #expect(admission.request(SessionID(4), tokens: 10, at: .zero) == .queued)
    guard case .refused(let retryAfter) = admission.request(SessionID(5), tokens: 10, at: .zero) else {
      Issue.record("not refused")
      return
    }
    #expect((.seconds(1)...(.seconds(120))).contains(retryAfter))
    #expect(admission.admitWaiting(at: at(1)) == [])
    admission.ended(SessionID(1), at: at(1))
    #expect(admission.admitWaiting(at: at(1)) == [SessionID(3)])
    admission.ended(SessionID(4), at: at(1))
    #expect(admission.waitingCount == 0)
  }

  @Test func aLongPromptWaitsForRoomAndNobodyOvertakesIt() {
    var admission = Admission(configuration: .init(cacheTokens: 1000, headroom: 50))
    #expect(admission.request(SessionID(1), tokens: 500, at: .zero) == .admitted)
    #expect(admission.request(SessionID(2), tokens: 600, at: .zero) == .queued)
    #expect(admission.request(SessionID(3), tokens: 10, at: .zero) == .queued)
    admission.ended(SessionID(1), at: at(1))
    #expect(admission.admitWaiting(at: at(1)) == [SessionID(2), SessionID(3)])
  }

  @Test func whoCameLastMakesRoomAndComesBackFirst() {
    var admission = Admission(configuration: .init(cacheTokens: 400, headroom: 20))
    for id in 1...3 as ClosedRange<UInt64> {
      #expect(admission.request(SessionID(id), tokens: 100, at: .zero) == .admitted)
    }
    #expect(admission.request(SessionID(4), tokens: 100, at: .zero) == .queued)
    #expect(admission.grew(SessionID(1), to: 130) == [])
    #expect(admission.grew(SessionID(1), to: 200) == [SessionID(3)])
    #expect(admission.claimed <= 400)
    admission.ended(SessionID(2), at: at(1))
    #expect(admission.admitWaiting(at: at(1)) == [SessionID(3)])
  }

  @Test func aSessionAloneAlwaysFits() {
    var admission = Admission(configuration: .init(cacheTokens: 100, headroom: 64))
    #expect(admission.request(SessionID(1), tokens: 99, at: .zero) == .admitted)
    #expect(admission.grew(SessionID(1), to: 5000) == [])
  }

  @Test func randomHistoriesKeepTheBudgetAndLoseNobody() throws {
    try forEachSeed(count: 200) { seed in try history(seed: seed) }
  }

  private func history(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let configuration = Admission.Configuration(
      maxRunning: Int.random(in: 1...8, using: &random), maxWaiting: Int.random(in: 0...5, using: &random),
      cacheTokens: Int.random(in: 200...2000, using: &random),
      headroom: Int.random(in: 1...100, using: &random))
    var admission = Admission(configuration: configuration)
    var running: [SessionID: Int] = [:]
    var waiting: Set<SessionID> = []
    var next: UInt64 = 0
    for step in 0..<400 {
      let now = at(Double(step))
      switch Int.random(in: 0..<4, using: &random) {
      case 0:
        next += 1
        let tokens = Int.random(in: 1...150, using: &random)
        switch admission.request(SessionID(next), tokens: tokens, at: now) {
        case .admitted: running[SessionID(next)] = tokens
        case .queued: waiting.insert(SessionID(next))
        case .refused: #expect(waiting.count >= configuration.maxWaiting, "seed \(seed)")
        }
      case 1:
        guard let id = running.keys.sorted().randomElement(using: &random) else { continue }
        running[id]! += Int.random(in: 1...40, using: &random)
        for other in admission.grew(id, to: running[id]!) {
          #expect(running.removeValue(forKey: other) != nil, "seed \(seed)")
          waiting.insert(other)
        }
      case 2:
        guard let id = (Array(running.keys) + waiting).sorted().randomElement(using: &random) else {
          continue
        }
        running[id] = nil
        waiting.remove(id)
        admission.ended(id, at: now)
      default:
        for id in admission.admitWaiting(at: now) {
          #expect(waiting.remove(id) != nil, "seed \(seed)")
          running[id] = 1
        }
      }
      #expect(
        admission.runningCount == running.count && admission.waitingCount == waiting.count, "seed \(seed)")
      #expect(running.count <= configuration.maxRunning, "seed \(seed)")
      #expect(admission.claimed <= configuration.cacheTokens || running.count == 1, "seed \(seed)")
      if running.isEmpty {
        #expect(
          waiting.isEmpty
            || !admission.admitWaiting(at: now).map { id in
              waiting.remove(id); running[id] = 1
            }.isEmpty, "seed \(seed)")
      }
    }
  }
}
