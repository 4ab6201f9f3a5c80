import SpeculationCore

/// The controllers' engines: target passes and local draft passes.
extension Simulation {
  mutating func verify(_ pass: TargetPass, _ controller: Int) {
    precondition(!controllers[controller].isTargetBusy, "an engine runs one pass at a time")
    var tokens = 0
    var budget = pass.prefillBudget
    var read = 0
    var attention: Int64 = 0
    controllers[controller].pass.removeAll(keepingCapacity: true)
    for part in pass.parts {
      let index = Int(part.session.rawValue)
      if plan.sharesPrompts, !requests[index].hasBegun {
        requests[index].hasBegun = true
        requests[index].reused = controllers[controller].prompts.open(part.session, part.prefix)
        requests[index].cached = requests[index].reused
      }
      // What a pass has verified is in the cache, and the root is evaluated in any case.
      let missing = requests[index].isRead ? 0 : part.prefix.count - 1 - requests[index].cached
      let piece = min(missing, budget)
      budget -= piece
      read += piece
      requests[index].cached += piece
      let isRead = piece == missing
      requests[index].isRead = isRead
      if isRead {
        tokens += part.set.tokens.count + 1
        attention += plan.targetAttention.nanoseconds(
          tokens: part.set.tokens.count + 1, context: part.prefix.count)
      }
      controllers[controller].pass.append((part.session, part.set, isRead))
    }
    if read > 0 {
      for part in pass.parts {
        controllers[controller].prompts.didRead(part.session, requests[Int(part.session.rawValue)].cached)
      }
    }
    var time = targetNanoseconds.time(
      tokens, reading: read, perToken: plan.targetPrefillPerToken.wholeNanoseconds,
      output: plan.targetOutput.wholeNanoseconds)
    time = max(1, time + attention)
    let isContended = controllers[controller].localAnswer != nil || workers.contains(where: \.isBusy)
    if plan.contention != 1, isContended { time = Int64((Double(time) * plan.contention).rounded()) }
    time = noise.vary(time, by: plan.variation.target)
    controllers[controller].passTokens = tokens + read
    controllers[controller].passDuration = .nanoseconds(max(1, time))
    controllers[controller].isTargetBusy = true
    result.targetBusy += time
    result.targetPasses += 1
    schedule(
      .targetDone(controller: controller), at: now + plan.stepOverhead.wholeNanoseconds + max(1, time))
  }

  mutating func targetDone(_ controller: Int) {
    controllers[controller].isTargetBusy = false
    var pass: [(session: SessionID, set: SessionMachine.VerificationSet, isRead: Bool)] = []
    swap(&pass, &controllers[controller].pass)
    let duration = controllers[controller].passDuration
    var parts: [PassReport.Part] = []
    parts.reserveCapacity(pass.count)
    for (id, set, isRead) in pass {
      let index = Int(id.rawValue)
      guard isRead, !requests[index].isOver else {
        parts.append(PassReport.Part(verdicts: []))
        continue
      }
      parts.append(
        PassReport.Part(
          verdicts: source.verdicts(
            text: requests[index].text, committed: requests[index].record.tokens, set,
            repeats: requests[index].repeats),
          reusedPrefix: requests[index].reused))
      requests[index].reused = 0
    }
    if plan.recordsTimeline { record(pass, duration) }
    let report = PassReport(parts: parts, duration: duration, tokens: controllers[controller].passTokens)
    let released = controllers[controller].releases
    controllers[controller].releases.removeAll()
    tell(controller, .passEnded(report))
    for id in released { tell(controller, .released(id)) }
  }

  mutating func release(_ id: SessionID, _ controller: Int) {
    let index = Int(id.rawValue)
    requests[index].cached = 0
    requests[index].isRead = false
    requests[index].hasBegun = false
    if requests[index].makesRoom {
      controllers[controller].prompts.discard(id)
    } else {
      controllers[controller].prompts.release(id)
    }
    requests[index].makesRoom = false
    if controllers[controller].isTargetBusy {
      controllers[controller].releases.append(id)
    } else {
      schedule(.released(controller: controller, id), at: now)
    }
  }

  // MARK: Drafting locally

  /// What a local draft model says is known when it is asked: engines are pure. So tasks need not be kept, nor
  /// the text they hold, which the machine could then not extend in place.
  mutating func draftLocally(_ tasks: [DraftTask<SessionMachine.NodeID>], _ controller: Int) {
    guard let localNanoseconds else {
      preconditionFailure("a session drafts locally without a draft model")
    }
    var unread = 0
    var attention: Int64 = 0
    for task in tasks {
      attention += plan.draftAttention.nanoseconds(tokens: 1, context: task.prefix.count)
      if requests[Int(task.session.rawValue)].isReadLocally { continue }
      requests[Int(task.session.rawValue)].isReadLocally = true
      unread += task.prefix.count - 1
    }
    let time =
      noise.vary(
        besideTarget(
          max(
            1,
            localNanoseconds.time(
              tasks.count, reading: unread, perToken: plan.localPrefillPerToken.wholeNanoseconds) + attention)
        ),
        by: plan.variation.draft)
    var answer: [Distribution] = []
    answer.reserveCapacity(tasks.count)
    for task in tasks {
      let index = Int(task.session.rawValue)
      answer.append(
        source.draft(
          text: requests[index].text, committed: task.prefix.count - requests[index].promptCount,
          path: task.path, repeats: requests[index].repeats))
    }
    controllers[controller].localAnswer = answer
    controllers[controller].localDuration = .nanoseconds(time)
    controllers[controller].localUnread = unread
    result.localBusy += time
    result.localPasses += 1
    if plan.recordsTimeline {
      result.timeline.append(
        TimelineSpan(kind: .localDraft, worker: -1, start: now, end: now + time, count: tasks.count))
    }
    schedule(.localDone(controller: controller), at: now + time)
  }

  /// What a draft pass takes that begins now.
  func besideTarget(_ time: Int64) -> Int64 {
    guard plan.draftContention != 1, controllers.contains(where: \.isTargetBusy) else { return time }
    return Int64((Double(time) * plan.draftContention).rounded())
  }

  mutating func localDone(_ controller: Int) {
    guard let answer = controllers[controller].localAnswer else {
      preconditionFailure("no local draft pass is under way")
    }
    controllers[controller].localAnswer = nil
    tell(
      controller,
      .localPassEnded(
        answer, duration: controllers[controller].localDuration,
        passTokens: answer.count + controllers[controller].localUnread))
  }

  // MARK: Timeline

  /// What a pass checked, and what it commits.
  private mutating func record(
    _ pass: [(session: SessionID, set: SessionMachine.VerificationSet, isRead: Bool)], _ duration: Duration
  ) {
    for (id, set, isRead) in pass where isRead {
      let request = requests[Int(id.rawValue)]
      let verdicts = source.verdicts(
        text: request.text, committed: request.record.tokens, set, repeats: request.repeats)
      let left = source.texts[request.text].answer.count - request.record.tokens
      result.timeline.append(
        TimelineSpan(
          kind: set.tokens.isEmpty ? .bubble : .verify, worker: -1, start: now - duration.wholeNanoseconds,
          end: now, count: set.tokens.count,
          committed: min(Self.commits(set, verdicts), request.repeats ? .max : left)))
    }
  }

  /// Tokens that a pass commits: the longest chain of choices through the set, and one more.
  private static func commits(
    _ set: SessionMachine.VerificationSet, _ verdicts: [SessionMachine.Verdict]
  ) -> Int {
    var count = 1
    var node = -1
    while let next = set.tokens.indices.first(where: {
      Int(set.parents[$0]) == node && set.tokens[$0] == verdicts[node + 1].token
    }) {
      count += 1
      node = next
    }
    return count
  }
}
