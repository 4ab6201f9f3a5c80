import SpeculationCore
import SpeculationTesting
import Testing

/// `value(price)`: locally only what pays, and only where no worker will be in time. T = 30 ms.
struct ValuePolicyTests {
  private let worker = WorkerID(1)

  private func machine(price: Duration) -> DrivenSession {
    controller(
      hasLocal: true, targetCost: CostCurve(measured: [1: .milliseconds(30)]),
      configuration(localPolicy: .value(price: price)))
  }

  private func time(_ milliseconds: Int64) -> Timestamp { Timestamp(nanoseconds: milliseconds * 1_000_000) }

  /// Starts with a worker at this round trip; nothing has come from it.
  private func draftsAtStart(_ price: Duration, roundTrip: Duration?) -> Bool {
    var machine = machine(price: price)
    if let roundTrip { _ = machine.workerJoined(worker, roundTrip: roundTrip) }
    return machine.start().contains { $0.localTasks != nil }
  }

  @Test func draftsOnlyWhatNoWorkerBringsInTime() {
    #expect(draftsAtStart(.milliseconds(5), roundTrip: .milliseconds(100)))
    #expect(!draftsAtStart(.milliseconds(5), roundTrip: .milliseconds(20)))
    #expect(draftsAtStart(.milliseconds(5), roundTrip: nil), "without a worker it is local drafting")
  }

  /// Before anything is known, the best child is taken to follow with 0.8: a pass over the root saves 24 ms.
  @Test func draftsOnlyWhatPays() {
    #expect(draftsAtStart(.milliseconds(23), roundTrip: .milliseconds(100)))
    #expect(!draftsAtStart(.milliseconds(25), roundTrip: .milliseconds(100)))
    #expect(draftsAtStart(.zero, roundTrip: .milliseconds(100)))
  }

  /// What a worker has named is on its tree; the local draft leaves it alone for as long as the worker is heard of.
  @Test func leavesToAWorkerWhatItHasNamed() {
    for silence in [Int64(20), 400] {
      var machine = machine(price: .milliseconds(5))
      _ = machine.workerJoined(worker, roundTrip: .milliseconds(100))
      let root = machine.start().compactMap(\.localTasks).first!
      machine.advance(to: time(5))
      _ = machine.receive(
        Expansion(
          site: .root(position: 1), firstChild: 1, distribution: guesses(0.5, [20: 0.9]), knownPosition: 1),
        from: worker)
      machine.advance(to: time(5 + silence))
      let actions = machine.localDrafted(
        root.map(\.node), [guesses(0.5, [20: 0.9])], duration: .milliseconds(5))
      #expect(actions.contains { $0.localTasks != nil } == (silence == 400), "silent for \(silence) ms")
    }
  }

  /// How long news takes is measured by what comes back: a worker that was said to be far away and answers within a
  /// millisecond leaves the local draft nothing to do.
  @Test func newsIsTimedByWhatComesBack() throws {
    var machine = machine(price: .milliseconds(5))
    _ = machine.workerJoined(worker, roundTrip: .milliseconds(500))
    var actions = machine.start()
    var drafts: [Bool] = []
    for step in 0..<40 {
      let set = try #require(actions.compactMap(\.set).first)
      let tasks = actions.compactMap(\.localTasks).first
      drafts.append(tasks != nil)
      let began = time(Int64(step) * 30)
      machine.advance(to: began.advanced(by: .milliseconds(1)))
      // Its guess, 50, is never right.
      _ = machine.receive(
        Expansion(
          site: .root(position: 1 + step), firstChild: RemoteNodeID(step + 1),
          distribution: guesses(0.5, [50: 0.5]), knownPosition: 1 + step),
        from: worker)
      if let tasks {
        _ = machine.localDrafted(
          tasks.map(\.node), tasks.map { _ in guesses(0, [:]) }, duration: .milliseconds(5))
      }
      machine.advance(to: began.advanced(by: .milliseconds(30)))
      let verdict = SessionMachine.Verdict(token: 60, margin: 1)
      actions = machine.verified(
        Array(repeating: verdict, count: set.tokens.count + 1), duration: .milliseconds(30), passTokens: 1)
    }
    #expect(drafts.first == true && drafts.suffix(10).allSatisfy { !$0 })
  }
}

struct AutopilotTests {
  @Test func itsLimitsAreValidAndFitWhatAControllerHolds() {
    #expect(Autopilot.limits.problem == nil)
    let request = ServingRequest(
      session: SessionID(1), prompt: [1], speculation: Autopilot.settings(), maxTokens: 10, endTokens: [])
    #expect(Autopilot.limits.maxNodes <= request.maxTreeNodes)
    #expect(Autopilot.limits.candidates <= request.maxCandidates)
  }

  @Test func localDraftingIsTheOperatorsChoice() {
    #expect(Autopilot.settings().localPolicy == .never)
    let policy = LocalDraftPolicy.value(price: .milliseconds(5))
    #expect(Autopilot.settings(localPolicy: policy).localPolicy == policy)
    #expect(Autopilot.localSettings.localPolicy == .always && !Autopilot.localSettings.usesWorkers)
  }
}
