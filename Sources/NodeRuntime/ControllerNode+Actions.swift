import Logging
import ModelBackend
import SpeculationCore

/// Where decisions become deeds.
extension ControllerNode {
  func perform(_ actions: [SessionMachine.Action], for id: SessionID) {
    perform([(id, actions)])
  }

  /// Target passes begin before anything else is done, one for all sessions that have something to verify.
  func perform(_ decisions: [(session: SessionID, actions: [SessionMachine.Action])]) {
    for (id, actions) in decisions {
      for case .verify(let prefix, let set) in actions { enqueue(prefix, set, for: id) }
    }
    startTargetPass()
    for (id, actions) in decisions { carryOut(actions, for: id) }
  }

  private func enqueue(_ prefix: [TokenID], _ set: SessionMachine.VerificationSet, for id: SessionID) {
    guard let session = sessions[id] else { return }
    let draft = DraftTree(tokens: set.tokens, parents: set.parents)
    let request = VerificationRequest(
      session: id, prefix: prefix, draft: draft, sampling: session.machine.sampling,
      grammar: session.grammar, logprobs: session.logprobs)
    // Who has to make room is put back before its next pass, so the engine holds nothing that nobody counted.
    let preempted = admission.grew(id, to: prefix.count + draft.count)
    for other in preempted { preempt(other) }
    if sessions[id]!.isToBeHeld { hold(request) } else { waiting.append(request) }
  }

  func hold(_ request: VerificationRequest) {
    sessions[request.session]?.held = request
    sessions[request.session]?.isToBeHeld = false
    Task { [target] in await target.release(request.session) }
  }

  /// Takes a session's cache away until there is room again. Its text so far is in the request, so nothing is lost
  /// but the time to compute it anew.
  private func preempt(_ id: SessionID) {
    log.debug("session makes room for others", metadata: ["session": "\(id)"])
    if let index = waiting.firstIndex(where: { $0.session == id }) {
      hold(waiting.remove(at: index))
    } else {
      // It is in the pass under way, or about to ask for one: then it waits.
      sessions[id]?.isToBeHeld = true
    }
  }

  private func carryOut(_ actions: [SessionMachine.Action], for id: SessionID) {
    for action in actions {
      switch action {
      case .verify: break
      case .draftAtHome(let tasks): draftAtHome(tasks, for: id)
      case .send(let message, let worker): transport?.send(message, to: worker)
      case .emit(let tokens): emit(tokens, for: id)
      case .disconnect(let worker, let violation): expel(worker, violation)
      case .finish(let reason): finish(id, reason)
      }
    }
  }

  private func emit(_ tokens: [SessionMachine.CommittedToken], for id: SessionID) {
    guard sessions[id] != nil else { return }
    let now = MonotonicClock.now()
    if sessions[id]!.firstToken == nil { sessions[id]!.firstToken = now }
    sessions[id]!.lastToken = now
    observer?.observe(.committed(id, at: now, tokens: tokens))
    sessions[id]!.output.yield(
      .tokens(
        tokens, logprobs: Array(sessions[id]!.newLogprobs.prefix(tokens.count)),
        GenerationProgress(
          statistics: sessions[id]!.machine.statistics,
          cachedPromptTokens: sessions[id]!.cachedPromptTokens)))
    sessions[id]!.newLogprobs = []
  }
}
