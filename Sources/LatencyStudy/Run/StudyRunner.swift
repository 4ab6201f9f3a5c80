import Foundation
import StudyAnalysis

/// Sends a source's probes when the schedule says so, and stores what comes of them.
///
/// Open loop: what one probe does never moves another. A probe that cannot start in time is stored as missed, so that a
/// later reader sees the gap and its reason.
public actor StudyRunner {
  public struct Settings: Sendable {
    public var source: String
    public var maxRequests: Int?
    public var maxUSD: Double?
    public var concurrency: Int
    /// How long probes that are under way may take to end when a run is interrupted.
    public var grace: Duration = .seconds(5)

    public init(source: String, maxRequests: Int?, maxUSD: Double?, concurrency: Int) {
      self.source = source
      self.maxRequests = maxRequests
      self.maxUSD = maxUSD
      self.concurrency = concurrency
    }
  }

  private let campaign: Campaign
  private let settings: Settings
  private let clock: CampaignClock
  private let prober: Prober
  private let credentials: CredentialChain
  private let schedule: Schedule
  private let writer: ProbeWriter
  private let slots: Range<Int>
  private let localAddress: String?
  private let report: @Sendable (StudyEvent) -> Void
  private var known: Set<StudyStore.ProbeSlot>
  private var budget: RunBudget
  private var endpoints: [String: Endpoint] = [:]

  private var underWay: [Int: Task<Void, Never>] = [:]
  private var nextID = 0
  private var stopped: Set<String> = []
  /// Campaign time until which a target wants to be left alone.
  private var pausedUntil: [String: Int64] = [:]
  private var failure: (any Error)?

  /// - Parameter report: called from any thread
  /// - Throws: `StoreError`; `Endpoint.Invalid` never for a campaign that was read
  public init(
    store: StudyStore, settings: Settings, clock: CampaignClock, prober: Prober, credentials: CredentialChain,
    version: String, host: String, report: @escaping @Sendable (StudyEvent) -> Void
  ) throws {
    campaign = store.campaign
    self.settings = settings
    self.clock = clock
    self.prober = prober
    self.credentials = credentials
    self.report = report
    let schedule = Schedule(every: store.campaign.every, fingerprint: store.campaign.fingerprint)
    self.schedule = schedule
    let now = clock.now()
    // The slot that has begun already would lack the probes that are due before now.
    let handle = try store.begin(
      source: settings.source, firstSlot: schedule.slot(at: now) + 1, started: now, version: version,
      host: host,
      clockAge: store.emulated == nil ? ClockSync.age() : nil, acceleration: clock.acceleration)
    slots = handle.slots
    writer = ProbeWriter(store, handle)
    let progress = try store.progress(source: settings.source)
    known = progress.stored
    budget = RunBudget(
      maxRequests: settings.maxRequests, maxUSD: settings.maxUSD, sent: progress.sent, usd: progress.usd)
    localAddress = store.campaign.source(named: settings.source)?.localAddress
    for target in store.campaign.targets {
      endpoints[target.name] = try target.endpoint(from: settings.source)
    }
  }

  /// - Throws: `StoreError`, and what makes probes impossible whatever the network does
  public func run() async throws -> StudyEnding {
    report(.began(slots: slots, stored: known.count, sent: budget.sent, usd: budget.usd))
    let ending: StudyEnding
    do { ending = try await schedulePass() } catch {
      await drain(within: .zero)
      throw error
    }
    await drain(within: ending == .interrupted ? settings.grace : nil)
    if let failure { throw failure }
    return Task.isCancelled ? .interrupted : ending
  }

  private func schedulePass() async throws -> StudyEnding {
    var gap: [ProbeRecord] = []
    for slot in slots {
      let due = campaign.targets.filter { !known.contains(.init(target: $0.name, slot: slot)) }
        .map { ($0, schedule.time(of: slot, source: settings.source, target: $0.name)) }
        .sorted { $0.1 < $1.1 }
      for (target, time) in due {
        if let failure { throw failure }
        if clock.now() > time + schedule.slotLength / 10 {
          gap.append(missed(target, slot, time, "nobody ran"))
          if gap.count >= 1000 { try await storeGap(&gap) }
          continue
        }
        try await storeGap(&gap)
        let wait = clock.wait(until: time)
        if wait > .zero {
          do { try await Task.sleep(for: wait) } catch { return .interrupted }
        }
        if Task.isCancelled { return .interrupted }
        if let ending = await start(target, slot, time) { return ending }
      }
    }
    try await storeGap(&gap)
    return .complete
  }

  /// - Returns: why the run is to end, if it is
  private func start(_ target: Target, _ slot: Int, _ time: Int64) async -> StudyEnding? {
    if let reason = reasonToMiss(target) {
      let record = missed(target, slot, time, reason)
      launch { await $0.store([record], missed: reason) }
      return stopped.count == campaign.targets.count ? .allTargetsStopped : nil
    }
    let requests = campaign.warm ? 2 : 1
    let cost = campaign.highestCost(of: target) * Double(requests)
    if let limit = budget.reserve(requests: requests, usd: cost) { return .limit(limit) }
    launch { await $0.probe(target, slot, time, requests: requests, cost: cost) }
    return nil
  }

  private func reasonToMiss(_ target: Target) -> String? {
    if stopped.contains(target.name) { return "the target was stopped" }
    if let until = pausedUntil[target.name] {
      if clock.now() < until { return "the target asked for a pause" }
      pausedUntil[target.name] = nil
    }
    return underWay.count >= settings.concurrency ? "\(settings.concurrency) probes were under way" : nil
  }

  private func probe(_ target: Target, _ slot: Int, _ time: Int64, requests: Int, cost: Double) async {
    var records: [ProbeRecord] = []
    defer {
      budget.settle(
        reserved: cost, requests: requests, sent: records.count { $0.outcome.wasSent },
        usd: records.reduce(0) { $0 + $1.usd })
    }
    do {
      guard let endpoint = endpoints[target.name] else { return }
      let credential: Credential
      do { credential = try await credentials.credential(for: target) } catch let error as CredentialError {
        stop(target, error.description)
        return await store([missed(target, slot, time, error.description)], missed: error.description)
      }
      let answer = try await prober.probe(
        Prober.Order(
          key: ProbeKey(source: settings.source, target: target.name, slot: slot), scheduled: time,
          target: target,
          endpoint: endpoint, localAddress: localAddress, prompt: campaign.prompt, timeout: campaign.timeout,
          warm: campaign.warm, credential: credential))
      records = answer.records
      if let refused = records.first(where: { $0.outcome == .credentials }) {
        stop(target, refused.detail ?? "the credentials were refused")
      } else if let seconds = answer.retryAfter, seconds > 0 {
        pausedUntil[target.name] = clock.now() + Int64(seconds * clock.acceleration * 1e9)
        report(.paused(target: target.name, seconds: seconds))
      }
      await store(records, missed: nil)
    } catch is CancellationError {
      // Not stored: the slot counts as missed when somebody resumes.
    } catch {
      failure = failure ?? error
    }
  }

  private func stop(_ target: Target, _ reason: String) {
    guard stopped.insert(target.name).inserted else { return }
    report(.stopped(target: target.name, reason: reason))
  }

  // MARK: Storing

  private func missed(_ target: Target, _ slot: Int, _ time: Int64, _ reason: String) -> ProbeRecord {
    ProbeRecord(
      key: ProbeKey(source: settings.source, target: target.name, slot: slot), scheduled: time, started: time,
      outcome: .missed, detail: reason)
  }

  private func storeGap(_ gap: inout [ProbeRecord]) async throws {
    guard !gap.isEmpty else { return }
    try await writer.add(gap)
    report(.missed(count: gap.count, reason: "nobody ran"))
    gap = []
  }

  private func store(_ records: [ProbeRecord], missed reason: String?) async {
    do {
      try await writer.add(records)
      if let reason {
        report(.missed(count: records.count, reason: reason))
      } else {
        records.forEach { report(.stored($0)) }
      }
    } catch {
      failure = failure ?? error
    }
  }

  // MARK: What is under way

  private func launch(_ work: @escaping @Sendable (isolated StudyRunner) async -> Void) {
    let id = nextID
    nextID += 1
    underWay[id] = Task {
      await work(self)
      underWay[id] = nil
    }
  }

  /// Waits for what is under way; what takes longer than it may is cancelled.
  private func drain(within grace: Duration?) async {
    let tasks = Array(underWay.values)
    let alarm = grace.map { grace in
      Task {
        try await Task.sleep(for: grace)
        for task in tasks { task.cancel() }
      }
    }
    for task in tasks { await task.value }
    alarm?.cancel()
  }
}
