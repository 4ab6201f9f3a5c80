/// Smaller plans that fail alike, for people to read.
extension FaultPlan {
  /// Makes a failing plan smaller for as long as it still breaks a rule of the same kind: fewer sessions,
  /// workers, controllers and faults, shorter texts and times, simpler settings.
  ///
  /// Greedy and deterministic. Not the smallest plan, but seldom much larger than what the failure needs.
  ///
  /// - Parameter attempts: runs at most
  /// - Returns: the smaller plan and what it breaks; nil if this plan breaks no rule
  public func shrunk(
    codec: any FrameCodec = PlainFrameCodec(), attempts: Int = 4000
  ) -> (plan: FaultPlan, broken: BrokenRule)? {
    do {
      _ = try run(codec: codec)
      return nil
    } catch {
      var shrinking = Shrinking(plan: self, broken: error, codec: codec, attempts: attempts)
      shrinking.shrink()
      return (shrinking.plan, shrinking.broken)
    }
  }

  private struct Shrinking {
    var plan: FaultPlan
    var broken: BrokenRule
    let codec: any FrameCodec
    var attempts: Int

    mutating func shrink() {
      var before: FaultPlan
      repeat {
        before = plan
        attempt { $0.inspectEvery = 1 }
        dropFaults()
        dropParts()
        shortenTexts()
        simplifyServers()
        simplifySessions()
        simplifyWorkers()
        simplifyFaults()
        simplifyRest()
      } while plan != before && attempts > 0
    }

    /// Keeps a change if the changed plan fails alike.
    @discardableResult
    mutating func attempt(_ change: (inout FaultPlan) -> Void) -> Bool {
      var changed = plan
      change(&changed)
      guard changed != plan, attempts > 0, changed.problem == nil else { return false }
      attempts -= 1
      do {
        _ = try changed.run(codec: codec)
        return false
      } catch {
        guard error.kind == broken.kind else { return false }
        plan = changed
        broken = error
        return true
      }
    }

    /// What goes shifts what happens by chance to those who stay: under another seed the failure may be back.
    mutating func attemptWithSomeSeed(_ change: (inout FaultPlan) -> Void) {
      if attempt(change) { return }
      for seed: UInt64 in 1...16 {
        if attempt({ plan in
          change(&plan)
          plan.seed = seed
        }) {
          return
        }
      }
    }

    /// The least value first, then half as much for as long as it helps.
    mutating func lower<Number: BinaryInteger>(
      _ path: WritableKeyPath<FaultPlan, Number>, to least: Number
    ) {
      if attempt({ $0[keyPath: path] = least }) { return }
      while plan[keyPath: path] > least + 1 {
        let half = least + (plan[keyPath: path] - least) / 2
        if !attempt({ $0[keyPath: path] = half }) { break }
      }
      if plan[keyPath: path] > least { attempt { $0[keyPath: path] -= 1 } }
    }

    mutating func set<Value>(_ path: WritableKeyPath<FaultPlan, Value>, _ value: Value) {
      attempt { $0[keyPath: path] = value }
    }

    /// Half of the faults at once, then a quarter... then each.
    mutating func dropFaults() {
      var size = max(1, plan.faults.count / 2)
      while !plan.faults.isEmpty {
        var start = 0
        while start < plan.faults.count {
          let end = min(start + size, plan.faults.count)
          if !attempt({ $0.faults.removeSubrange(start..<end) }) { start = end }
        }
        if size == 1 { break }
        size /= 2
      }
    }

    mutating func dropParts() {
      for index in plan.sessions.indices.reversed() where plan.sessions.count > 1 {
        attemptWithSomeSeed { $0.sessions.remove(at: index) }
      }
      for index in plan.workers.indices.reversed() {
        attemptWithSomeSeed { plan in
          plan.workers.remove(at: index)
          plan.faults.removeAll { $0.kind != .shutdown && $0.subject == index }
          for fault in plan.faults.indices
          where plan.faults[fault].kind != .shutdown && plan.faults[fault].subject > index {
            plan.faults[fault].subject -= 1
          }
        }
      }
      while plan.controllers > 1 {
        let isDropped = attempt { plan in
          plan.controllers -= 1
          plan.servers = Array(plan.servers.prefix(plan.controllers))
          for index in plan.sessions.indices { plan.sessions[index].controller %= plan.controllers }
          for index in plan.workers.indices { plan.workers[index].controller %= plan.controllers }
          for index in plan.faults.indices where plan.faults[index].kind == .shutdown {
            plan.faults[index].subject %= plan.controllers
          }
        }
        if !isDropped { break }
      }
    }

    mutating func shortenTexts() {
      for index in plan.sessions.indices {
        lower(\.sessions[index].maxTokens, to: 0)
        while plan.sessions[index].prompt.count > 1, attempt({ $0.sessions[index].prompt.removeLast() }) {}
        set(\.sessions[index].prompt, [1])
        lower(\.sessions[index].start, to: 0)
      }
    }

    mutating func simplifyServers() {
      let usual = FaultPlan.Server()
      set(\.servers, [])
      for index in plan.servers.indices {
        set(\.servers[index].targetFailure, 0)
        set(\.servers[index].fullFailure, 0)
        set(\.servers[index].localFailure, 0)
        set(\.servers[index].cells, usual.cells)
        set(\.servers[index].branches, usual.branches)
        set(\.servers[index].contextLength, usual.contextLength)
        set(\.servers[index].maxSessions, usual.maxSessions)
        set(\.servers[index].maxWaiting, usual.maxWaiting)
        set(\.servers[index].prefillChunk, usual.prefillChunk)
        set(\.servers[index].sharesPrefixes, usual.sharesPrefixes)
        set(\.servers[index].hasMeasuredCosts, usual.hasMeasuredCosts)
        set(\.servers[index].workersPerSession, usual.workersPerSession)
        set(\.servers[index].exclusion, usual.exclusion)
        lower(\.servers[index].releaseDelay, to: 0)
      }
    }

    mutating func simplifySessions() {
      let usual = FaultPlan.Session()
      for index in plan.sessions.indices {
        set(\.sessions[index].cancelAfter, nil)
        set(\.sessions[index].targetFailsAt, nil)
        set(\.sessions[index].localFailsAt, nil)
        set(\.sessions[index].hasLocalDraft, false)
        set(\.sessions[index].localPolicy, .never)
        set(\.sessions[index].draftsBefore, nil)
        set(\.sessions[index].lookupLength, 0)
        set(\.sessions[index].minGain, 0)
        set(\.sessions[index].temperature, 0)
        set(\.sessions[index].samplingSeed, 0)
        set(\.sessions[index].contextLength, usual.contextLength)
        set(\.sessions[index].maxTreeNodes, usual.maxTreeNodes)
        set(\.sessions[index].maxCandidates, usual.maxCandidates)
        set(\.sessions[index].isCostAware, usual.isCostAware)
        set(\.sessions[index].minPathProbability, usual.minPathProbability)
        set(\.sessions[index].usesWorkers, usual.usesWorkers)
        set(\.sessions[index].localLimits, usual.localLimits)
        set(\.sessions[index].maxVerified, usual.maxVerified)
        simplify(\.sessions[index].localLimits)
      }
    }

    mutating func simplify(_ path: WritableKeyPath<FaultPlan, FaultPlan.Limits>) {
      let usual = FaultPlan.Limits()
      set(path.appending(path: \.passWidth), 1)
      set(path.appending(path: \.candidates), 1)
      set(path.appending(path: \.minProbability), usual.minProbability)
      set(path.appending(path: \.minPathProbability), usual.minPathProbability)
      set(path.appending(path: \.maxDepth), usual.maxDepth)
      set(path.appending(path: \.maxNodes), usual.maxNodes)
    }

    mutating func simplifyWorkers() {
      let usual = FaultPlan.Worker()
      for index in plan.workers.indices {
        set(\.workers[index].isHostile, false)
        set(\.workers[index].capacity, nil)
        set(\.workers[index].renames, false)
        set(\.workers[index].tellsCosts, usual.tellsCosts)
        set(\.workers[index].passFailure, 0)
        lower(\.workers[index].start, to: 0)
        set(\.workers[index].jitter, 0)
        set(\.workers[index].delay, usual.delay)
        lower(\.workers[index].jitter, to: 0)
        lower(\.workers[index].delay, to: 0)
        set(\.workers[index].limits, usual.limits)
        set(\.workers[index].contextLength, usual.contextLength)
        set(\.workers[index].maxSessions, usual.maxSessions)
        set(\.workers[index].pass, usual.pass)
        simplify(\.workers[index].limits)
      }
    }

    mutating func simplifyFaults() {
      for index in plan.faults.indices {
        lower(\.faults[index].duration, to: 0)
        lower(\.faults[index].amount, to: 0)
        lower(\.faults[index].at, to: 0)
        set(\.faults[index].isSilent, false)
        set(\.faults[index].mask, 1)
      }
    }

    mutating func simplifyRest() {
      let last = plan.faults.map { $0.at + $0.duration }.max() ?? 0
      lower(\.faultsEnd, to: last)
      set(\.target, FaultPlan.PassTime(fixed: 30_000, each: 100))
      set(\.local, FaultPlan.PassTime(fixed: 5_000, each: 100))
      set(\.liveness, 3_000_000)
      set(\.script.isMisleading, false)
      set(\.script.endProbability, 0)
      set(\.script.agreement, 1)
      set(\.script.vocabularySize, 20)
      set(\.script.seed, 1)
      set(\.seed, 1)
    }
  }
}
