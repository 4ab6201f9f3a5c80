import SpeculationCore
import Testing

/// Which prompts one pass reads.
@Suite struct PromptReadingTests {
  /// A target that reads whatever it is asked to, and chooses token 1.
  private struct Target {
    var machine: ServingMachine
    private var pass: TargetPass?
    private(set) var releases: [SessionID] = []

    init(sharesPrefixes: Bool = true, cells: Int = 1000) {
      machine = ServingMachine(
        configuration: ServingMachine.Configuration(
          contextLength: 1000, vocabularySize: 1000, cells: cells, headroom: 1, sharesPrefixes: sharesPrefixes
        ))
    }

    mutating func ask(_ id: UInt64, _ prompt: [TokenID]) {
      handle(
        .request(
          ServingRequest(
            session: SessionID(id), prompt: prompt, speculation: .plain, maxTokens: 40, endTokens: [])))
    }

    /// The sessions of the pass under way, which ends.
    mutating func nextPass() throws -> [UInt64] {
      let ended = try #require(pass)
      pass = nil
      let verdicts = [SessionMachine.Verdict(token: 1, margin: 1)]
      handle(
        .passEnded(
          PassReport(
            parts: ended.parts.map { _ in PassReport.Part(verdicts: verdicts) }, duration: .milliseconds(1),
            tokens: ended.parts.count)))
      return ended.parts.map(\.session.rawValue)
    }

    private mutating func handle(_ event: ServingMachine.Event) {
      for action in machine.handle(event, at: .zero) {
        switch action {
        case .verify(let next): pass = next
        case .release(let id):
          releases.append(id)
          handle(.released(id))
        default: break
        }
      }
    }
  }

  private static let template = [TokenID](10..<30)

  @Test func whatBeginsLikeAPromptThatIsReadWaitsForIt() throws {
    var target = Target()
    target.ask(1, [5])
    for id in UInt64(2)...4 { target.ask(id, Self.template + [TokenID(100 + id)]) }
    target.ask(5, [TokenID](40..<70))
    #expect(try target.nextPass() == [1])
    #expect(try target.nextPass() == [1, 2, 5])
    // What they have in common is in the cache now.
    #expect(try target.nextPass() == [1, 2, 3, 4, 5])
  }

  @Test func onlyWhatNobodyHasReadIsWaitedFor() throws {
    var target = Target()
    target.ask(1, Self.template)
    let document = Self.template + [TokenID](100..<140)
    for id in UInt64(2)...3 { target.ask(id, document + [TokenID(200 + id)]) }
    target.ask(4, Self.template + [7, 8, 9])
    #expect(try target.nextPass() == [1])
    #expect(try target.nextPass() == [1, 2, 4])
    #expect(try target.nextPass() == [1, 2, 3, 4])
  }

  @Test func fewTokensInCommonAreNotWaitedFor() throws {
    var target = Target()
    target.ask(1, [5])
    target.ask(2, Self.template.prefix(7) + [TokenID](50..<90))
    target.ask(3, Self.template)
    target.ask(4, [TokenID](Self.template.prefix(8)))
    #expect(try target.nextPass() == [1])
    #expect(try target.nextPass() == [1, 2, 3, 4])
  }

  @Test func engineThatSharesNothingReadsAllAtOnce() throws {
    var target = Target(sharesPrefixes: false)
    target.ask(1, [5])
    for id in UInt64(2)...4 { target.ask(id, Self.template + [TokenID(100 + id)]) }
    #expect(try target.nextPass() == [1])
    #expect(try target.nextPass() == [1, 2, 3, 4])
  }

  /// Who has made room is read again, and waits again.
  @Test func promptThatWasGivenUpIsReadAnew() throws {
    var target = Target(cells: 60)
    for id in UInt64(1)...3 { target.ask(id, Self.template + [TokenID(100 + id)]) }
    var passes: [[UInt64]] = []
    while !target.machine.running.isEmpty { passes.append(try target.nextPass()) }
    #expect(!target.releases.isEmpty)
    // Each of the later ones runs beside the first, makes room, and comes back when the first is done.
    let back = try #require(passes.lastIndex { $0.contains(1) }) + 1
    #expect(passes[back] == [2])
    #expect(passes[back + 1] == [2, 3])
  }
}
