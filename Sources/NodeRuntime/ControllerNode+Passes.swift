import Logging
import ModelBackend
import SpeculationCore

/// Model passes: one of the target for all sessions, and those of the draft model at home.
extension ControllerNode {
  func startTargetPass() {
    guard !isTargetBusy, !waiting.isEmpty || !suspects.isEmpty else { return }
    isTargetBusy = true
    let requests: [VerificationRequest]
    if suspects.isEmpty {
      requests = waiting
      waiting = []
    } else {
      requests = [suspects.removeFirst()]
    }
    let budget = prefillBudget(requests)
    // Where the system can, the task runs up to its first suspension at once: the engine gets its work without
    // a detour over another pool thread.
    if #available(macOS 26, *) {
      Task.immediate(priority: .high) { await verify(requests, prefillBudget: budget) }
    } else {
      Task(priority: .high) { await verify(requests, prefillBudget: budget) }
    }
  }

  /// While somebody waits for the next token of a text, prompts are read in pieces.
  private func prefillBudget(_ requests: [VerificationRequest]) -> Int {
    let isDecoding = requests.contains { sessions[$0.session]?.firstToken != nil }
    return isDecoding ? configuration.prefillChunk : max(configuration.prefillChunk, Self.longestPrefill)
  }

  /// Even with nobody waiting: a request that comes meanwhile should not wait for all of a long prompt.
  private static let longestPrefill = 512

  private func verify(_ requests: [VerificationRequest], prefillBudget: Int) async {
    do {
      targetPassEnded(requests, try await target.verify(requests, prefillBudget: prefillBudget))
    } catch {
      targetPassFailed(requests, error)
    }
  }

  private func targetPassEnded(_ requests: [VerificationRequest], _ pass: PassResult<VerificationResult>) {
    isTargetBusy = false
    failedPasses = 0
    engineFailure = nil
    let now = MonotonicClock.now()
    observePass(requests, pass, at: now)
    var decisions: [(session: SessionID, actions: [ControllerMachine.Action])] = []
    for (request, result) in zip(requests, pass.results) {
      let id = result.session
      // Not taken out into a constant: a copy beside the machine would make it copy its tree on the next change.
      guard sessions[id] != nil else { continue }
      sessions[id]!.cachedPromptTokens += result.reusedPrefix
      if result.choices.isEmpty {
        // More of its prompt is to be read.
        if sessions[id]!.isToBeHeld { hold(request) } else { waiting.append(request) }
        continue
      }
      if let before = sessions[id]!.passEnded {
        sessions[id]!.stepOverheads.append(before.duration(to: now) - pass.duration)
      }
      sessions[id]!.passEnded = now
      let verdicts = result.choices.map { ControllerMachine.Verdict(token: $0.token, margin: $0.margin) }
      if request.logprobs != nil {
        sessions[id]!.newLogprobs = CommittedLogprobs.along(result.choices, of: request.draft)
      }
      sessions[id]!.machine.advance(to: now)
      shareLoad(with: id)
      let before = sessions[id]!.machine.statistics.tokens
      let actions = sessions[id]!.machine.verified(verdicts, duration: pass.duration, passTokens: pass.tokens)
      reportTallies(of: id, tokens: sessions[id]!.machine.statistics.tokens - before)
      replan(actions, for: id)
      decisions.append((id, actions))
    }
    perform(decisions)
    rebalanceWorkers(at: now)
  }

  private func observePass(
    _ requests: [VerificationRequest], _ pass: PassResult<VerificationResult>, at now: Timestamp
  ) {
    let decoded = requests.reduce(0) { $0 + 1 + $1.draft.count }
    // Passes that read prompts say nothing about T(n): they are not limited by the same part of the machine.
    if pass.tokens <= decoded { targetCost.observe(size: pass.tokens, duration: pass.duration) }
    observer?.observe(
      .targetPass(
        NodeEvent.TargetPass(
          ended: now, duration: pass.duration, tokens: pass.tokens,
          sessions: requests.map { ($0.session, $0.draft.count) })))
  }

  private func targetPassFailed(_ requests: [VerificationRequest], _ error: any Error) {
    isTargetBusy = false
    failedPasses += 1
    if requests.count > 1 {
      // One of them may be to blame, for all that is known.
      log.warning("target pass failed; trying its sessions one by one", metadata: ["error": "\(error)"])
      suspects += requests.filter { sessions[$0.session] != nil }
      startTargetPass()
      return
    }
    log.error("target pass failed", metadata: ["error": "\(error)"])
    if failedPasses >= Self.failuresOfABrokenEngine { engineFailure = "\(error)" }
    var decisions: [(session: SessionID, actions: [ControllerMachine.Action])] = []
    for request in requests where sessions[request.session] != nil {
      let actions = sessions[request.session]!.machine.verificationFailed(reason: "\(error)")
      decisions.append((request.session, actions))
    }
    perform(decisions)
    startTargetPass()
  }

  /// Passes over single sessions that fail one after the other until the node calls itself unhealthy.
  private static let failuresOfABrokenEngine = 3

  // MARK: Load

  /// What a session puts into the next pass.
  func plan(_ tokens: Int, expected: Double, for id: SessionID) {
    guard let before = sessions[id]?.planned else { return }
    planned.tokens += tokens - before.tokens
    planned.expected += expected - before.expected
    sessions[id]!.planned.tokens = tokens
    sessions[id]!.planned.expected = expected
  }

  private func replan(_ actions: [ControllerMachine.Action], for id: SessionID) {
    for case .verify(_, let set) in actions {
      plan(1 + set.tokens.count, expected: sessions[id]!.machine.expectedCommits, for: id)
    }
  }

  /// Tells a session who shares its next pass.
  func shareLoad(with id: SessionID) {
    guard let own = sessions[id]?.planned else { return }
    let running = max(1, admission.runningCount)
    let load = PassLoad(
      tokens: max(0, planned.tokens - own.tokens), expected: max(0, planned.expected - own.expected),
      maxNodes: max(0, (branches - running) / running))
    sessions[id]!.machine.share(load, targetCost: targetCost)
  }

  // MARK: Drafting at home

  func draftAtHome(_ tasks: [DraftTask<ControllerMachine.NodeID>], for id: SessionID) {
    guard let home else { preconditionFailure("drafting at home without a draft model") }
    let nodes = tasks.map(\.node)
    let requests = tasks.map(ExpansionRequest.init)
    Task(priority: .high) {
      do {
        let pass = try await home.expand(requests)
        guard let session = sessions[id] else { return }
        let now = MonotonicClock.now()
        observer?.observe(.homeDraftPass(id, ended: now, duration: pass.duration, nodes: nodes.count))
        // Where the step waited for the draft model, that time was not the controller's own.
        if !session.machine.isVerifying {
          sessions[id]!.passEnded = session.passEnded?.advanced(by: pass.duration)
        }
        sessions[id]!.machine.advance(to: now)
        shareLoad(with: id)
        let actions = sessions[id]!.machine.homeDrafted(
          nodes, pass.results, duration: pass.duration, passTokens: pass.tokens)
        replan(actions, for: id)
        perform(actions, for: id)
      } catch {
        guard sessions[id] != nil else { return }
        log.warning("drafting at home failed; going on without", metadata: ["error": "\(error)"])
        sessions[id]!.output.yield(.note("drafting at home failed, going on without: \(error)"))
        sessions[id]!.machine.advance(to: MonotonicClock.now())
        shareLoad(with: id)
        let actions = sessions[id]!.machine.homeDraftFailed()
        replan(actions, for: id)
        perform(actions, for: id)
      }
    }
  }
}

extension ExpansionRequest {
  init<Node>(_ task: DraftTask<Node>) {
    self.init(
      session: task.sequence, prefix: task.prefix, path: task.path, sampling: task.sampling,
      candidates: task.candidates, skipped: task.skipped)
  }
}
