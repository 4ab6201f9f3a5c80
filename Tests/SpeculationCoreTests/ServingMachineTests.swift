import Simulator
import SpeculationCore
import SpeculationTesting
import SplitMix
import Testing

/// What a controller decides, in every order of events that is short enough to be tried, and in many longer ones.
@Suite struct ServingMachineTests {
  /// Every history of so many events. After each of them all that is under way may come to a good end.
  @Test(arguments: [true, false])
  func everyShortHistory(hasLocal: Bool) throws {
    var count = 0
    try explore(ServingWorld(hasLocal: hasLocal, auditShare: hasLocal ? 0 : 1), history: [], depth: 5, &count)
    #expect(count > 10_000)
  }

  private func explore(
    _ world: ServingWorld, history: [ServingWorld.Move], depth: Int, _ count: inout Int
  ) throws {
    count += 1
    do {
      var end = world
      try end.settle()
    } catch {
      throw CheckFailure("\(error) after \(history)")
    }
    guard depth > 0 else { return }
    for move in world.moves {
      var next = world
      do {
        try next.make(move)
      } catch {
        throw CheckFailure("\(error) after \(history + [move])")
      }
      try explore(next, history: history + [move], depth: depth - 1, &count)
    }
  }

  /// Long histories, in caches that hold next to nothing.
  @Test func longHistories() throws {
    try forEachSeed(count: 2000) { seed in
      var random = SplitMix64(seed: seed)
      var world = ServingWorld(
        cells: Int.random(in: 10...40, using: &random), branches: Int.random(in: 2...8, using: &random),
        maxSessions: Int.random(in: 1...4, using: &random), maxWaiting: Int.random(in: 0...8, using: &random),
        maxTokens: Int.random(in: 1...9, using: &random), maxRequests: 12,
        headroom: Int.random(in: 1...6, using: &random), hasLocal: random.chance(0.5),
        auditShare: Double(Int.random(in: 0...2, using: &random)) / 2)
      for _ in 0..<80 {
        // Whoever always cancels sees nothing else.
        let moves = world.moves.filter { move in
          switch move {
          case .cancel, .stopAccepting, .passFails, .localPassFails: random.chance(0.1)
          default: true
          }
        }
        guard let move = moves.randomElement(using: &random) else { break }
        try world.make(move)
      }
      try world.settle()
    }
  }

  /// Two texts that do not fit side by side to their ends: the later one makes room, and comes back.
  @Test func whoMakesRoomResumesWithItsTextUnchanged() throws {
    var world = ServingWorld(cells: 12, maxTokens: 5, hasLocal: false)
    try world.make(.request(tokens: 3))
    try world.make(.request(tokens: 3))
    try world.settle()
    #expect(world.preempted.allSatisfy { $0 == SessionID(2) } && !world.preempted.isEmpty)
    for id in [SessionID(1), SessionID(2)] {
      #expect(world.ended[id] == .finished(.length) && world.texts[id]?.count == 5)
    }
  }

  @Test func nobodyIsAdmittedIntoCellsThatAreNotFreeYet() throws {
    var world = ServingWorld(cells: 12, maxTokens: 1, hasLocal: false)
    try world.make(.request(tokens: 9))
    try world.make(.request(tokens: 9))
    try world.make(.passEnds)
    #expect(world.ended[SessionID(1)] == .finished(.length))
    #expect(world.releases == [SessionID(1)] && world.pass == nil)
    try world.make(.released(SessionID(1)))
    #expect(world.pass?.parts.map(\.session) == [SessionID(2)])
  }

  @Test func whatCanNeverFitIsRefusedAtOnce() throws {
    var world = ServingWorld(cells: 9)
    try world.make(.request(tokens: 9))
    #expect(world.ended[SessionID(1)] == .refused)
  }

  /// A full cache means waiting: no request fails of it, and the engine does not count as broken.
  @Test func aFullCacheFailsNobodyWhileOthersRun() throws {
    var world = ServingWorld(hasLocal: false)
    try world.make(.request(tokens: 3))
    try world.make(.request(tokens: 3))
    try world.make(.passEnds)
    for _ in 0..<3 {
      guard world.pass!.parts.count > 1 else { break }
      try world.make(.passFails(.cacheFull))
      if let first = world.releases.first { try world.make(.released(first)) }
    }
    try world.settle()
    #expect(world.machine.engineFailure == nil)
    #expect(world.ended.values.allSatisfy { $0 == .finished(.length) })
  }

  /// Of the sessions of a pass that failed each is tried alone; only the one to blame fails.
  @Test func onlyTheOneToBlameFails() throws {
    var world = ServingWorld(hasLocal: false)
    try world.make(.request(tokens: 3))
    try world.make(.request(tokens: 3))
    try world.make(.passEnds)
    #expect(world.pass?.parts.count == 2)
    try world.make(.passFails(.engine))
    #expect(world.pass?.parts.map(\.session) == [SessionID(1)])
    try world.make(.passEnds)
    #expect(world.pass?.parts.map(\.session) == [SessionID(2)])
    try world.make(.passFails(.engine))
    #expect(world.ended == [SessionID(2): .finished(.failed("planned"))])
    try world.settle()
    #expect(world.ended[SessionID(1)] == .finished(.length))
    #expect(world.machine.engineFailure == nil)
  }

  @Test func afterThreeFailuresInARowTheEngineCountsAsBroken() throws {
    var world = ServingWorld(maxRequests: 4, hasLocal: false)
    for turn in 1...3 {
      try world.make(.request(tokens: 3))
      #expect(world.machine.engineFailure == nil)
      try world.make(.passFails(.engine))
      #expect((world.machine.engineFailure != nil) == (turn == 3))
      try world.make(.released(SessionID(UInt64(turn))))
    }
    // And no more once it works again.
    try world.make(.request(tokens: 3))
    try world.settle()
    #expect(world.machine.engineFailure == nil)
  }
}
