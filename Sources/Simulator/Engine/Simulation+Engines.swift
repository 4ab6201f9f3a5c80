import SpeculationCore

/// The controller's engines: target passes and home draft passes.
extension Simulation {
  mutating func verify(_ set: ControllerMachine.VerificationSet, slot: Int) {
    let engine = plan.sharesTarget ? 0 : slot
    targets[engine].waiting.append((slot, set))
    guard !targets[engine].isBusy else { return }
    // Whatever else becomes ready at this instant goes into the same pass.
    targets[engine].isBusy = true
    schedule(.targetReady(engine: engine), at: now + plan.stepOverhead.wholeNanoseconds)
  }

  mutating func startTargetPass(_ engine: Int) {
    var tokens = 0
    var prefill = 0
    targets[engine].underWay.removeAll(keepingCapacity: true)
    for (slot, set) in targets[engine].waiting where slots[slot] != nil {
      tokens += set.tokens.count + 1
      if slots[slot]!.firstToken == nil { prefill += source.texts[slots[slot]!.text].prompt.count - 1 }
      targets[engine].underWay.append((slot, slots[slot]!.machine.session, set))
    }
    targets[engine].waiting.removeAll(keepingCapacity: true)
    guard !targets[engine].underWay.isEmpty else {
      targets[engine].isBusy = false
      return
    }
    var time = targetNanoseconds[tokens]
    if plan.contention != 1, homeUnderWay != nil || workers.contains(where: \.isBusy) {
      time = Int64((Double(time) * plan.contention).rounded())
    }
    time += plan.targetPrefillPerToken.wholeNanoseconds * Int64(prefill)
    targets[engine].duration = .nanoseconds(time)
    targets[engine].tokens = tokens
    result.targetBusy += time
    schedule(.targetDone(engine: engine), at: now + time)
  }

  mutating func targetDone(_ engine: Int) {
    var pass: [(slot: Int, id: SessionID, set: ControllerMachine.VerificationSet)] = []
    swap(&pass, &targets[engine].underWay)
    // What follows starts no pass at once, so the memory is free for the next one.
    defer { if targets[engine].underWay.isEmpty { swap(&pass, &targets[engine].underWay) } }
    targets[engine].isBusy = false
    let duration = targets[engine].duration
    for (slot, id, set) in pass {
      guard isUnderWay(id, slot: slot) else { continue }
      let text = slots[slot]!.text
      let verdicts = source.verdicts(
        text: text, committed: slots[slot]!.machine.statistics.tokens, set)
      let before = slots[slot]!.machine.statistics.tokens
      slots[slot]!.machine.advance(to: Timestamp(nanoseconds: now))
      let actions = slots[slot]!.machine.verified(
        verdicts, duration: duration, passTokens: targets[engine].tokens)
      if plan.recordsTimeline {
        record(verified: set, slots[slot]!.machine.statistics.tokens - before, duration)
      }
      perform(actions, slot: slot)
    }
  }

  mutating func draftAtHome(_ tasks: [DraftTask<ControllerMachine.NodeID>], slot: Int) {
    let text = slots[slot]!.text
    let prompt = source.texts[text].prompt.count
    let unread = homeHasRead.insert(slots[slot]!.machine.session).inserted ? prompt - 1 : 0
    homeQueue.append(
      HomeTask(
        unread: unread,
        slot: slot, id: slots[slot]!.machine.session, nodes: tasks.map(\.node),
        distributions: tasks.map {
          source.draft(text: text, committed: $0.prefix.count - prompt, path: $0.path)
        }))
    startHomePass()
  }

  private mutating func startHomePass() {
    guard homeUnderWay == nil, let next = homeQueue.popFirst() else { return }
    guard let nanoseconds = homeNanoseconds else {
      preconditionFailure("a session drafts at home without a draft model")
    }
    let time =
      besideTarget(nanoseconds[next.nodes.count])
      + plan.homePrefillPerToken.wholeNanoseconds * Int64(next.unread)
    homeUnderWay = next
    homeDuration = .nanoseconds(time)
    result.homeBusy += time
    result.homePasses += 1
    if plan.recordsTimeline {
      result.timeline.append(
        TimelineSpan(kind: .homeDraft, worker: -1, start: now, end: now + time, count: next.nodes.count))
    }
    schedule(.homeDone, at: now + time)
  }

  /// What a draft pass takes that begins now.
  func besideTarget(_ time: Int64) -> Int64 {
    guard plan.draftContention != 1, targets.contains(where: \.isBusy) else { return time }
    return Int64((Double(time) * plan.draftContention).rounded())
  }

  mutating func homeDone() {
    guard let pass = homeUnderWay else { preconditionFailure("no home draft pass is under way") }
    homeUnderWay = nil
    if isUnderWay(pass.id, slot: pass.slot) {
      slots[pass.slot]!.machine.advance(to: Timestamp(nanoseconds: now))
      let actions = slots[pass.slot]!.machine.homeDrafted(
        pass.nodes, pass.distributions, duration: homeDuration)
      perform(actions, slot: pass.slot)
    }
    startHomePass()
  }

  private mutating func record(
    verified set: ControllerMachine.VerificationSet, _ committed: Int, _ duration: Duration
  ) {
    result.timeline.append(
      TimelineSpan(
        kind: set.tokens.isEmpty ? .bubble : .verify, worker: -1, start: now - duration.wholeNanoseconds,
        end: now, count: set.tokens.count, committed: committed))
  }
}
