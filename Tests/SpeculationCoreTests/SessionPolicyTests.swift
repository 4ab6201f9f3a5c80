import SpeculationCore
import SpeculationTesting
import Testing

private let worker = WorkerID(1)

/// When a session drafts, pauses and takes guesses from the text, and how much one pass checks.
@Suite struct SessionPolicyTests {
  /// Steps until a commit says pause, with a worker whose every answer comes one commit too late; nil: never.
  private func stepsUntilPause(_ machine: inout DrivenSession, answers: Bool, from position: inout Int)
    -> Int?
  {
    var child: RemoteNodeID = machine.mirrored(from: worker).map { RemoteNodeID($0.live.count) + 1 } ?? 1
    for step in 1...40 {
      let actions = machine.verified(verdicts(50), duration: .milliseconds(10), passTokens: 1)
      let pauses = actions.contains {
        if case .session(.send(.commit(_, let commit), _)) = $0 { commit.pause } else { false }
      }
      if pauses { return step }
      if answers {
        _ = machine.receive(
          Expansion(
            site: .root(position: position), firstChild: child, distribution: guesses([20: 0.9]),
            knownPosition: position), from: worker)
        child += 1
      }
      position += 1
    }
    return nil
  }

  private func gatedController() -> DrivenSession {
    var configuration = configuration(maxTokens: 1000, contextLength: 2000)
    configuration.minGain = 1.1
    return controller(
      targetCost: CostCurve(measured: [1: .milliseconds(10), 8: .milliseconds(12)]), configuration)
  }

  /// Guesses that always come too late are of no use, and are seen to be.
  @Test func guessesThatAlwaysComeLateAreStopped() throws {
    var machine = gatedController()
    _ = machine.start()
    _ = machine.workerJoined(worker)
    var position = 1
    let steps = try #require(stepsUntilPause(&machine, answers: true, from: &position))
    #expect((5...15).contains(steps))
    #expect(machine.statistics.lateExpansions > 0)
  }

  /// A worker that says nothing yet still reads the prompt.
  @Test func aSilentWorkerIsNotTakenForAUselessOne() {
    var machine = gatedController()
    _ = machine.start()
    _ = machine.workerJoined(worker)
    var position = 1
    #expect(stepsUntilPause(&machine, answers: false, from: &position) == nil)
  }

  /// Another worker is not held to what the last one's guesses were worth.
  @Test func aNewWorkerBeginsWithoutPause() throws {
    var machine = gatedController()
    _ = machine.start()
    _ = machine.workerJoined(worker)
    var position = 1
    _ = try #require(stepsUntilPause(&machine, answers: true, from: &position))
    _ = machine.workerLeft(worker)
    #expect(stepsUntilPause(&machine, answers: false, from: &position) == nil)
    _ = machine.workerJoined(WorkerID(9))
    let actions = machine.verified(verdicts(50), duration: .milliseconds(10), passTokens: 1)
    #expect(
      actions.contains {
        if case .session(.send(.commit(_, let commit), WorkerID(9))) = $0 { !commit.pause } else { false }
      })
  }

  /// The prompt says "10 11 12 13 14 10 11": what followed then is guessed without any draft model, and what
  /// followed that, too.
  @Test func theTextItselfGivesGuesses() throws {
    var configuration = configuration()
    configuration.lookupLength = 3
    var machine = controller(prompt: [10, 11, 12, 13, 14, 10, 11], configuration)
    let set = try #require(machine.start().compactMap(\.set).first)
    #expect(set.tokens == [12, 13, 14, 10, 11])
    #expect(set.parents == [-1, 0, 1, 2, 3])
    let actions = machine.verified(
      verdicts(12, 13, 50, 51, 52, 53), duration: .milliseconds(1), passTokens: 6)
    #expect(actions.compactMap(\.committed).first?.map(\.origin) == [.lookup, .lookup, .target])
    #expect(machine.statistics.acceptedLookup == 2)
    #expect(machine.statistics.bubbles == 1, "nobody has expanded the root")
    #expect(machine.brokenInvariant == nil)
  }

  /// Plain decoding wants no guesses, so no step of it lacks them.
  @Test func plainDecodingHasNoBubbles() throws {
    var configuration = configuration()
    configuration.verification = VerificationPolicy(maxNodes: 0)
    var machine = controller(prompt: [1, 2, 3], configuration)
    _ = machine.start()
    for token in 10..<14 as Range<Int32> {
      _ = machine.verified(verdicts(token), duration: .milliseconds(1), passTokens: 1)
    }
    #expect(machine.statistics.steps >= 4 && machine.statistics.bubbles == 0)
  }

  /// What a draft model says of a guess counts for more than that it was written before.
  @Test func aDraftModelKnowsAGuessBetterThanTheText() throws {
    var configuration = configuration()
    configuration.lookupLength = 2
    configuration.verification.maxNodes = 1
    var machine = controller(prompt: [10, 11, 12, 13, 10, 11], configuration)
    _ = machine.workerJoined(worker)
    func expand(_ site: ExpansionSite, _ first: RemoteNodeID, _ distribution: Distribution) {
      let actions = machine.receive(
        Expansion(site: site, firstChild: first, distribution: distribution, knownPosition: 5), from: worker)
      #expect(actions.isEmpty)
    }
    expand(.root(position: 5), 1, guesses([40: 0.9]))
    // 12 and 13 are in the tree now, from the text.
    #expect(machine.start().compactMap(\.set).first?.tokens == [40])
    expand(.root(position: 5), 2, guesses([12: 0.9]))
    expand(.node(2), 3, guesses([30: 0.3, 13: 0.05]))
    let actions = machine.verified(verdicts(12, 50), duration: .milliseconds(1), passTokens: 2)
    #expect(actions.compactMap(\.set).first?.tokens == [30])
    #expect(machine.brokenInvariant == nil)
  }

  /// What a draft model has left no room for is not likely, however often it was written.
  @Test func aGuessThatTheDraftModelDoesNotNameIsUnlikely() throws {
    var configuration = configuration()
    configuration.lookupLength = 1
    configuration.verification = VerificationPolicy(
      rule: .everything, maxNodes: 8, minPathProbability: 0.15)
    for isExpandedFirst in [true, false] {
      var machine = controller(prompt: [10, 11, 12, 10, 11], configuration)
      _ = machine.workerJoined(worker)
      let expansion = Expansion(
        site: .root(position: 4), firstChild: 1, distribution: guesses([40: 0.95]), knownPosition: 4)
      if isExpandedFirst { _ = machine.receive(expansion, from: worker) }
      #expect(machine.start().compactMap(\.set).first?.tokens == (isExpandedFirst ? [40] : [12]))
      if !isExpandedFirst { _ = machine.receive(expansion, from: worker) }
      #expect(machine.brokenInvariant == nil)
    }
  }

  @Test func nothingIsDraftedForTheLastToken() {
    var machine = controller(hasLocal: true, configuration(localPolicy: .always, maxTokens: 1))
    #expect(machine.start().map(\.kind) == ["verify 0"])
  }

  /// Below an uncertain position, local drafts what the worker has not named.
  @Test func entropyPolicyDraftsWhereTheWorkerIsUnsure() throws {
    func draftedAtLocal(_ entropy: Float) throws -> [[TokenID]] {
      var machine = controller(hasLocal: true, configuration(localPolicy: .entropy(threshold: 1)))
      _ = machine.workerJoined(worker)
      let root = try #require(machine.start().compactMap(\.localTasks).first)
      _ = machine.receive(
        Expansion(
          site: .root(position: 1), firstChild: 1, distribution: guesses(entropy, [20: 0.6]),
          knownPosition: 1),
        from: worker)
      return machine.localDrafted(
        root.map(\.node), [guesses(entropy, [20: 0.6, 21: 0.3])], duration: .milliseconds(1)
      ).compactMap(\.localTasks).first?.map(\.path) ?? []
    }
    #expect(try draftedAtLocal(0.9) == [])
    #expect(try draftedAtLocal(1.1) == [[21]])
    // A bubble: the root has no expansion.
    var machine = controller(hasLocal: true, configuration(localPolicy: .entropy(threshold: 1)))
    #expect(machine.start().compactMap(\.localTasks).first?.map(\.path) == [[]])
  }

  @Test(arguments: [LocalDraftPolicy.never, .always, .entropy(threshold: 0.5)])
  func aDraftThatFailsAtLocalIsNotAskedAgain(_ policy: LocalDraftPolicy) {
    var machine = controller(hasLocal: true, configuration(localPolicy: policy))
    let isDrafting = machine.start().contains { $0.localTasks != nil }
    #expect(isDrafting == (policy != .never))
    if isDrafting { #expect(machine.localDraftFailed().isEmpty) }
    for _ in 0..<3 {
      let actions = machine.verified(verdicts(20), duration: .milliseconds(1), passTokens: 1)
      #expect(actions.map(\.kind) == ["emit 1", "verify 0"])
    }
  }

  /// Four guesses in a row of equal probability, and what is verified of them under a T(n).
  private func chosen(_ cost: CostCurve, probability: Float) -> Int {
    var machine = controller(
      targetCost: cost,
      configuration(
        verification: VerificationPolicy(rule: .costAware, maxNodes: 8, minPathProbability: 0)))
    _ = machine.workerJoined(worker)
    for index in 0..<4 {
      _ = machine.receive(
        Expansion(
          site: index == 0 ? .root(position: 1) : .node(RemoteNodeID(index)),
          firstChild: RemoteNodeID(index + 1),
          distribution: guesses([20 + TokenID(index): probability]), knownPosition: 1),
        from: worker)
    }
    return machine.start().compactMap(\.set).first!.tokens.count
  }

  @Test func aTargetPassTakesWhatPaysForItself() {
    func curve(_ milliseconds: (Int) -> Double) -> CostCurve {
      CostCurve(
        measured: Dictionary(
          uniqueKeysWithValues: (1...9).map { ($0, Duration.microseconds(Int64(milliseconds($0) * 1000))) }))
    }
    let flat = curve { _ in 30 }
    let proportional = curve { 30 * Double($0) }
    let gentle = curve { 30 + 10 * Double($0 - 1) }
    #expect(chosen(flat, probability: 0.9) == 4)
    #expect(chosen(flat, probability: 0.1) == 4)
    #expect(chosen(proportional, probability: 0.9) == 0)
    #expect(chosen(proportional, probability: 0.1) == 0)
    // Tokens per second by nodes: 1/30, 1.7/40, 2.19/50, 2.53/60...: two pay, the third does not.
    #expect(chosen(gentle, probability: 0.7) == 2)
    #expect(chosen(CostCurve(), probability: 0.1) == 4)
  }
}
