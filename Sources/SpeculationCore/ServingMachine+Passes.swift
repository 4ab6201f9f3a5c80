/// Target passes: who is in them, what they check, what came of them.
extension ServingMachine {
  /// Even with nobody waiting for a token: a request that comes meanwhile should not wait for all of a long prompt.
  private static let longestPrefill = 512

  /// Starts the next target pass, where none is under way and somebody is ready.
  mutating func startTargetPass(_ actions: inout [Action]) {
    guard pass == nil, admission.runningCount > 0, !admission.isWaitingForRelease else { return }
    let members = nextMembers(&actions)
    // Cells are being freed: the pass waits for that, not those who need the cells for the pass.
    guard !members.isEmpty, !admission.isWaitingForRelease else { return }
    composer.begin()
    for id in members {
      let maxNodes = health.allowsGuesses ? Int.max : 0
      sessions[id].machine.makeOffer(limit: maxNodes)
      composer.add(
        sessions[id].machine.offer,
        slack: admission.slack(of: id, holding: sessions[id].machine.tokens.count),
        takesEverything: sessions[id].machine.configuration.verification.rule == .everything)
    }
    composer.choose(
      cost: estimates.targetCost, freeCells: admission.unclaimed,
      freeBranches: max(0, configuration.branches - admission.heldCount))
    var parts: [TargetPass.Part] = []
    var underWay = PassUnderWay(members: [], guesses: 0)
    parts.reserveCapacity(members.count)
    for (index, id) in members.enumerated() {
      let count = composer.members[index].chosen
      let tokens = sessions[id].machine.tokens.count
      admission.take(count - admission.slack(of: id, holding: tokens), for: id)
      let set = sessions[id].machine.beginStep(verifying: count, at: now)
      parts.append(TargetPass.Part(session: id, prefix: sessions[id].machine.tokens, set: set))
      underWay.members.append((id, count))
      underWay.guesses += count
    }
    pass = underWay
    // The target begins before anything else that was decided is carried out.
    actions.insert(.verify(TargetPass(parts: parts, prefillBudget: prefillBudget(members))), at: 0)
  }

  /// The sessions that are ready, have cells for their text and wait for no other's prompt, those admitted first in
  /// front; one alone where a pass has failed for it and others.
  private mutating func nextMembers(_ actions: inout [Action]) -> [SessionID] {
    var members: [SessionID] = []
    var reading = PromptReading()
    var turn = 0
    while turn < admission.runningCount {
      let id = admission.runningSession(turn)
      turn += 1
      if let retry = health.nextRetry, retry != id { continue }
      guard sessions[id].machine.isReady else { continue }
      if configuration.sharesPrefixes, !sessions[id].isRead {
        let text = sessions[id].machine.tokens
        guard reading.admit(text, cached: { cachedBeginning(of: text) }) else { continue }
      }
      let growth = admission.grow(id, to: sessions[id].machine.tokens.count) {
        sessions[$0].machine.tokens.count
      }
      switch growth {
      case .granted: members.append(id)
      case .waits(let preempted):
        // None of them is a member: the last admitted make room, and turns go the other way.
        for other in preempted {
          sessions[other].preempted()
          actions.append(.note(other, .preempted))
          actions.append(.release(other))
        }
      }
    }
    if members.isEmpty, let retry = health.nextRetry, !admission.isRunning(retry) {
      // It had to make room before its turn came: it is tried again with the others.
      health.forget(retry)
      return nextMembers(&actions)
    }
    return members
  }

  /// Tokens that a text has in common with the texts of running sessions that the target has read.
  private func cachedBeginning(of text: [TokenID]) -> Int {
    var longest = 0
    for turn in 0..<admission.runningCount where sessions[admission.runningSession(turn)].isRead {
      longest = max(
        longest, commonLength(sessions[admission.runningSession(turn)].machine.tokens, text))
    }
    return longest
  }

  /// While somebody waits for the next token of a text, prompts are read in pieces.
  private func prefillBudget(_ members: [SessionID]) -> Int {
    let isDecoding = members.contains { sessions[$0].firstToken != nil }
    return isDecoding ? configuration.prefillChunk : max(configuration.prefillChunk, Self.longestPrefill)
  }

  mutating func passEnded(_ report: PassReport, _ actions: inout [Action]) {
    guard let ended = pass else { preconditionFailure("a target pass ended that was not started") }
    precondition(report.parts.count == ended.members.count, "a pass must answer for every session")
    pass = nil
    health.passEnded()
    // Passes that read prompts say nothing about T(n): they are not limited by the same part of the machine.
    if report.tokens <= ended.tokens {
      estimates.targetCost.observe(size: report.tokens, duration: report.duration)
    }
    let cost = estimates.targetCost.seconds(for: ended.tokens)
    for (member, part) in zip(ended.members, report.parts) {
      let id = member.session
      guard sessions.contains(id) else { continue }
      sessions[id].cachedTokens += part.reusedPrefix
      health.forget(id)
      guard !part.verdicts.isEmpty else {
        sessions[id].machine.cutShort()
        continue
      }
      sessions[id].passEnded(at: now, duration: report.duration)
      // What its guesses cost beside whatever else was in the pass.
      let without = estimates.targetCost.seconds(for: ended.tokens - member.guesses)
      let relative = cost.flatMap { cost in without.map { cost / $0 } }
      let before = sessions[id].machine.statistics.tokens
      let decisions = sessions[id].machine.verified(
        part.verdicts, relativeCost: relative, match: &estimates.match, at: now)
      reportStep(
        of: id, tokens: sessions[id].machine.statistics.tokens - before, duration: report.duration)
      carryOut(decisions, of: id, &actions)
    }
    if pool.hasWorkers, lastPlacement.duration(to: now) >= .seconds(1) { needsPlacement = true }
  }

  mutating func passFailed(_ failure: PassFailure, _ actions: inout [Action]) {
    guard let failed = pass else { preconditionFailure("a target pass failed that was not started") }
    pass = nil
    let members = failed.members.map(\.session).filter { sessions.contains($0) }
    for id in members { sessions[id].machine.cutShort() }
    switch failure.kind {
    case .cacheFull where failed.guesses > 0:
      // The engine needs more than was counted: first without guesses.
      health.cacheWasFull()
    case .cacheFull where admission.runningCount > 1:
      health.cacheWasFull()
      let last = admission.runningSession(admission.runningCount - 1)
      admission.preempt(last, tokens: sessions[last].machine.tokens.count)
      sessions[last].preempted()
      actions += [.note(last, .preempted), .release(last)]
    case .engine where failed.members.count > 1:
      health.retryAlone(members)
    default:
      health.singleFailed(reason: failure.reason)
      for id in members {
        carryOut(sessions[id].machine.failed(reason: failure.reason), of: id, &actions)
      }
    }
  }
}
