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
    /// Probes at once, of each target: one that is slow holds up no other.
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
  private let storedBefore: Int
  private let localAddress: String?
  private let report: @Sendable (StudyEvent) -> Void
  private var agenda: ProbeAgenda
  private var budget: RunBudget
  private var endpoints: [String: Endpoint] = [:]

  private var underWay: [Int: Task<Void, Never>] = [:]
  private var nextID = 0
  /// Probes that a target has not answered yet.
  private var unanswered: [String: Int] = [:]
  private var stopped: Set<String> = []
  /// Until when a target wants to be left alone; by a clock that nobody sets.
  private var pausedUntil: [String: ContinuousClock.Instant] = [:]
  private let origin = ContinuousClock.now
  private var steps = ClockSteps()
  /// Why nothing was sent at times that have passed.
  private var gapReason = StudyRunner.nobodyRan
  private static let nobodyRan = "nobody ran"
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
    let before = try store.progress(source: settings.source)
    storedBefore = before.stored.count
    agenda = ProbeAgenda(
      schedule, source: settings.source, targets: store.campaign.targets.map(\.name), slots: handle.slots,
      progress: before)
    budget = RunBudget(
      maxRequests: settings.maxRequests, maxUSD: settings.maxUSD, sent: before.sent, usd: before.usd)
    localAddress = store.campaign.source(named: settings.source)?.localAddress
    for target in store.campaign.targets {
      endpoints[target.name] = try target.endpoint(from: settings.source)
    }
  }

  /// - Throws: `StoreError`, and what makes probes impossible whatever the network does
  public func run() async throws -> StudyEnding {
    report(.began(slots: slots, stored: storedBefore, sent: budget.sent, usd: budget.usd))
    let ending: StudyEnding
    do { ending = try await follow() } catch {
      let tasks = Array(underWay.values)
      for task in tasks { task.cancel() }
      for task in tasks { await task.value }
      throw error
    }
    await drain()
    if let failure { throw failure }
    return Task.isCancelled ? .interrupted : ending
  }

  /// Does what the agenda says when it says so.
  private func follow() async throws -> StudyEnding {
    while true {
      if let failure { throw failure }
      if Task.isCancelled { return .interrupted }
      noteClockSteps()
      switch agenda.next(at: clock.now()) {
      case .wait(let time):
        gapReason = Self.nobodyRan
        // In pieces, so that a clock that is set meanwhile is noticed.
        do { try await Task.sleep(for: min(clock.wait(until: time), .seconds(1))) } catch {
          return .interrupted
        }
      case .missed(let entries): try await storeGap(entries)
      case .send(let entry): if let ending = await start(entry) { return ending }
      case .complete: return .complete
      }
    }
  }

  private func noteClockSteps() {
    let before = ContinuousClock.now
    let time = Double(clock.now()) * 1e-9 / clock.acceleration
    // Where this thread stood still in between, the two do not belong together.
    guard before.duration(to: .now) < .milliseconds(100),
      let step = steps.step(time: time, reference: origin.duration(to: before).inSeconds)
    else { return }
    if step > 0 { gapReason = "the clock was set forward" }
    report(.clockStepped(seconds: step * clock.acceleration))
  }

  /// - Returns: why the run is to end, if it is
  private func start(_ entry: ProbeAgenda.Entry) async -> StudyEnding? {
    guard let target = campaign.targets.first(where: { $0.name == entry.target }) else { return nil }
    if let reason = reasonToMiss(target) {
      launch { await $0.store([$0.unsent(entry, .missed, reason)], missed: reason) }
      return stopped.count == campaign.targets.count ? .allTargetsStopped : nil
    }
    if unanswered[target.name, default: 0] >= settings.concurrency {
      let reason = "\(settings.concurrency) probes of the target had no answer yet"
      launch { await $0.store([$0.unsent(entry, .saturated, reason)], missed: nil) }
      return nil
    }
    let requests = campaign.warm ? 2 : 1
    let cost = campaign.highestCost(of: target) * Double(requests)
    if let limit = budget.reserve(requests: requests, usd: cost) { return .limit(limit) }
    unanswered[target.name, default: 0] += 1
    launch { await $0.probe(target, entry, requests: requests, cost: cost) }
    return nil
  }

  private func reasonToMiss(_ target: Target) -> String? {
    if stopped.contains(target.name) { return "the target was stopped" }
    guard let until = pausedUntil[target.name] else { return nil }
    if ContinuousClock.now < until { return "the target asked for a pause" }
    pausedUntil[target.name] = nil
    return nil
  }

  private func probe(_ target: Target, _ entry: ProbeAgenda.Entry, requests: Int, cost: Double) async {
    var records: [ProbeRecord] = []
    defer {
      budget.settle(
        reserved: cost, requests: requests, sent: records.count { $0.outcome.wasSent },
        usd: records.reduce(0) { $0 + $1.usd })
    }
    do {
      let answer: Prober.Answer
      do {
        // What waits for the disk afterwards is not the target's fault.
        defer { unanswered[target.name, default: 1] -= 1 }
        answer = try await ask(target, entry)
      } catch let error as CredentialError {
        stop(target, error.description)
        return await store([unsent(entry, .missed, error.description)], missed: error.description)
      }
      records = answer.records
      if let refused = records.first(where: { $0.outcome == .credentials }) {
        stop(target, refused.detail ?? "the credentials were refused")
      } else if let seconds = answer.retryAfter, seconds > 0 {
        pausedUntil[target.name] = .now + .seconds(seconds)
        report(.paused(target: target.name, seconds: seconds))
      }
      await store(records, missed: nil)
    } catch is CancellationError {
      // Not stored: the slot counts as missed when somebody resumes.
    } catch {
      failure = failure ?? error
    }
  }

  private func ask(_ target: Target, _ entry: ProbeAgenda.Entry) async throws -> Prober.Answer {
    guard let endpoint = endpoints[target.name] else { throw CancellationError() }
    return try await prober.probe(
      Prober.Order(
        key: key(entry), scheduled: entry.time, target: target, endpoint: endpoint,
        localAddress: localAddress, prompt: campaign.prompt, timeout: campaign.timeout, warm: campaign.warm,
        credential: try await credentials.credential(for: target)))
  }

  private func stop(_ target: Target, _ reason: String) {
    guard stopped.insert(target.name).inserted else { return }
    report(.stopped(target: target.name, reason: reason))
  }

  // MARK: Storing

  private func key(_ entry: ProbeAgenda.Entry) -> ProbeKey {
    ProbeKey(source: settings.source, target: entry.target, slot: entry.slot)
  }

  private func unsent(
    _ entry: ProbeAgenda.Entry, _ outcome: ProbeOutcome, _ reason: String
  ) -> ProbeRecord {
    ProbeRecord(
      key: key(entry), scheduled: entry.time, started: entry.time, outcome: outcome, detail: reason)
  }

  private func storeGap(_ entries: [ProbeAgenda.Entry]) async throws {
    let reason = gapReason
    try await writer.add(entries.map { unsent($0, .missed, reason) })
    report(.missed(count: entries.count, reason: reason))
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

  /// Waits for what is under way; once the run is cancelled, what takes longer than `grace` is, too.
  private func drain() async {
    let tasks = Array(underWay.values)
    guard !tasks.isEmpty else { return }
    let (grace, report) = (settings.grace, report)
    if !Task.isCancelled {
      report(.draining(probes: tasks.count, within: campaign.timeout * (campaign.warm ? 2 : 1)))
    }
    await withTaskCancellationHandler {
      for task in tasks { await task.value }
    } onCancel: {
      report(.draining(probes: tasks.count, within: grace))
      Task {
        try await Task.sleep(for: grace)
        for task in tasks { task.cancel() }
      }
    }
  }
}
