import SpeculationCore
import SpeculationTesting
import Testing

/// Answers that the target decides once more, when it has nothing else to do.
@Suite struct AuditTests {
  private func world(_ share: Double, requests: Int = 4) -> ServingWorld {
    ServingWorld(maxSessions: 1, maxWaiting: 8, maxRequests: requests, hasLocal: false, auditShare: share)
  }

  /// One request after the other, each to its end and its audit's.
  private func serve(_ world: inout ServingWorld, _ count: Int) throws {
    for _ in 0..<count {
      try world.make(.request(tokens: 3))
      try world.settle()
    }
  }

  private func runToAudit(_ world: inout ServingWorld) throws {
    while world.audit == nil { try step(&world) }
  }

  private func step(_ world: inout ServingWorld) throws {
    try world.make(try #require(world.moves.first { $0 == .passEnds || $0.isRelease }))
  }

  @Test(arguments: [(0, 0), (0.25, 1), (0.5, 2), (1, 4)])
  func aShareOfTheAnswersIsLookedAt(share: Double, count: Int) throws {
    var world = world(share)
    try serve(&world, 4)
    #expect(world.findings.map(\.outcome) == Array(repeating: .same, count: count))
  }

  @Test func anotherTokenIsFoundWhereItIs() throws {
    var world = world(1, requests: 1)
    try world.make(.request(tokens: 9))
    try runToAudit(&world)
    try world.make(.auditDiffers)
    try world.settle()
    let finding = try #require(world.findings.first)
    guard case .different(let difference) = finding.outcome else {
      Issue.record("\(finding)")
      return
    }
    #expect(difference.index == 0 && difference.given == finding.tokens[finding.promptLength])
    #expect(difference.chosen == difference.given % TokenID(ServingWorld.vocabulary - 1) + 1)
    #expect(difference.isWrong(deterministic: false), "a margin of 1")
  }

  /// A request that comes meanwhile has the target at once, and the answer is looked at afterwards.
  @Test func whoeverComesHasTheTarget() throws {
    var world = world(1, requests: 2)
    try world.make(.request(tokens: 3))
    try runToAudit(&world)
    while let release = world.releases.first { try world.make(.released(release)) }
    try world.make(.request(tokens: 3))
    #expect(world.pass != nil)
    // What the interrupted piece says comes too late to count.
    try world.make(.auditDiffers)
    try world.settle()
    #expect(world.findings.map(\.outcome) == [.same, .same])
  }

  @Test func failuresAreNoDifferences() throws {
    var world = world(1, requests: 1)
    try world.make(.request(tokens: 3))
    try runToAudit(&world)
    try world.make(.auditFails)
    try world.settle()
    #expect(world.findings.map(\.outcome) == [.skipped(reason: "planned")])
    #expect(world.machine.engineFailure == nil)
  }

  /// While the target is never idle, answers wait; a server that stops says that it did not look at them.
  @Test func whatIsNotLookedAtIsSaid() throws {
    var world = world(1, requests: 3)
    for _ in 0..<3 { try world.make(.request(tokens: 3)) }
    while world.ended.count < 2 {
      try step(&world)
      #expect(world.audit == nil)
    }
    try world.make(.stopAccepting)
    try world.settle()
    #expect(world.findings.count == 3)
    #expect(world.findings.allSatisfy { $0.outcome == .skipped(reason: "the server stops") })
  }
}

extension ServingWorld.Move {
  fileprivate var isRelease: Bool { if case .released = self { true } else { false } }
}
