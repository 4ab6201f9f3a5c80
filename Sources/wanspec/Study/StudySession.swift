import ArgumentParser
import Console
import Foundation
import LatencyStudy
import NIOPosix
import Spelling
import StrictYAML
import StudyAnalysis
import Synchronization

/// A run of one source, from the estimate to the last probe.
struct StudySession {
  let campaign: Campaign
  let source: String
  let options: StudyRunOptions
  private let limits: Campaign.Limits
  private let clock: CampaignClock
  /// The emulator's name; nil for the world.
  private let emulated: String?
  private let lines: EventLines

  init(campaign: Campaign, source: String, options: StudyRunOptions) async throws {
    self.campaign = campaign
    self.source = source
    self.options = options
    limits = options.limits(of: campaign)
    lines = EventLines(json: options.json)
    guard let url = campaign.clock, !options.dryRun else {
      clock = .world
      emulated = nil
      return
    }
    do { (clock, emulated) = try await CampaignClock.emulated(url) } catch {
      throw CommandFailure(
        "the emulator's clock cannot be read: \(url): \(error)",
        hint: "start it: wanspec study emulate REGIONS.yaml")
    }
  }

  func run(_ path: String) async throws {
    let chain = CredentialChain(environment: ProcessInfo.processInfo.environment)
    try await checkCredentials(chain)
    estimate()
    if options.dryRun { return }
    let lock = try StoreLock(path)
    defer { withExtendedLifetime(lock) {} }
    let store = try StudyStore.create(path, campaign: campaign, emulated: emulated)
    let threads = NIOThreadPool(numberOfThreads: 4)
    threads.start()
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
    let output = StudyRunOutput(lines: lines, path: path, targets: campaign.targets.count)
    let runner = try StudyRunner(
      store: store,
      settings: StudyRunner.Settings(
        source: source, maxRequests: limits.maxRequests, maxUSD: limits.maxUSD,
        concurrency: limits.concurrency),
      clock: clock,
      prober: Prober(group: group, threads: threads, clock: clock, version: BuildInformation.version),
      credentials: chain, version: BuildInformation.version, host: ProcessInfo.processInfo.hostName,
      report: { output.take($0) })
    let ended: Result<StudyEnding, any Error>
    do { ended = .success(try await orInterrupted { try await runner.run() }) } catch {
      ended = .failure(error)
    }
    try? await group.shutdownGracefully()
    try? await threads.shutdownGracefully()
    output.finish()
    if !store.close() {
      StandardError.write(
        "\(path)-wal belongs to \(path): another process has it open, or the disk is full\n")
    }
    if case .failure(let error as ExitCode) = ended, error == Interrupted.exitCode {
      lines.say("end", "interrupted; go on with: wanspec study resume \(path)", ["reason": "interrupted"])
    }
    try end(try ended.get(), path)
  }

  private func end(_ ending: StudyEnding, _ path: String) throws {
    switch ending {
    case .complete:
      lines.say("end", "complete: \(path)", ["reason": "complete"])
    case .limit(let limit):
      lines.say(
        "end",
        "the limit of \(limit) is reached; go on with a higher one: wanspec study resume \(path)",
        ["reason": "limit", "limit": limit])
      throw ExitCode(3)
    case .allTargetsStopped:
      lines.say(
        "end", "every target was stopped; mend the credentials, then: wanspec study resume \(path)",
        ["reason": "stopped"])
      throw ExitCode(3)
    // `orInterrupted` ends the command before this.
    case .interrupted: throw ExitCode(130)
    }
  }

  /// A key that is missing now is missing for days.
  private func checkCredentials(_ chain: CredentialChain) async throws {
    for target in campaign.targets {
      do { _ = try await chain.credential(for: target) } catch let error as CredentialError {
        throw CommandFailure("target \(error.description)", hint: error.hint)
      }
    }
  }

  private func estimate() {
    let requests = min(campaign.requestsPerSource, limits.maxRequests ?? .max)
    let cost = min(campaign.highestCostPerSource, limits.maxUSD ?? .infinity)
    let unpriced = campaign.targets.filter { $0.price == Target.Price() }.count
    var text =
      "\(campaign.name) from \(source): \(campaign.targets.count.counted("target")), one probe every "
    text += "\(YAMLDuration.text(campaign.every)) for \(TimeText.span(campaign.days * 86_400)): "
    text += "\(requests.counted("request")), at most \(cost.fixed(2)) USD"
    if unpriced > 0 { text += " (\(unpriced) of the targets have no price)" }
    lines.say(
      "estimate", text,
      [
        "campaign": campaign.name, "source": source, "targets": campaign.targets.count,
        "slots": campaign.slots,
        "requests": requests, "max_usd": cost, "targets_without_price": unpriced, "dry_run": options.dryRun,
      ])
  }
}

/// What a run says while it runs.
private final class StudyRunOutput: Sendable {
  private struct State {
    var slots = 0..<0
    var stored = 0
    var sent = 0
    var failed = 0
    var usd = 0.0
  }

  private let lines: EventLines
  private let path: String
  private let targets: Int
  private let bar: ProgressBar
  private let state = Mutex(State())

  init(lines: EventLines, path: String, targets: Int) {
    self.lines = lines
    self.path = path
    self.targets = targets
    bar = ProgressBar(title: "study")
  }

  func finish() { bar.finish() }

  func take(_ event: StudyEvent) {
    switch event {
    case .began(let slots, let stored, let sent, let usd):
      state.withLock { $0 = State(slots: slots, stored: stored, sent: sent, usd: usd) }
      lines.say(
        "begin", "into \(path)" + event.text,
        [
          "store": path, "first_slot": slots.lowerBound, "slots": slots.count, "stored": stored, "sent": sent,
          "usd": usd,
        ])
    case .stored(let record):
      state.withLock {
        if record.key.ordinal == 0 { $0.stored += 1 }
        if record.outcome.wasSent { $0.sent += 1 }
        if record.outcome.wasSent, record.outcome != .ok { $0.failed += 1 }
        $0.usd += record.usd
      }
      if lines.json { JSONLine.print(fields(record)) }
    case .missed(let count, let reason):
      state.withLock { $0.stored += count }
      if lines.json { JSONLine.print(["event": "missed", "count": count, "reason": reason]) }
    case .stopped(let target, let reason):
      say("stopped", event.text, ["target": target, "reason": reason])
    case .paused(let target, let seconds):
      say("paused", event.text, ["target": target, "seconds": seconds])
    case .clockStepped(let seconds):
      say("clock", event.text, ["seconds": seconds])
    case .draining(let probes, let within):
      say("draining", event.text, ["probes": probes, "seconds": within / .seconds(1)])
    }
    draw()
  }

  private func say(_ event: String, _ text: String, _ fields: [String: any Sendable]) {
    if lines.json {
      JSONLine.print(fields.merging(["event": event]) { own, _ in own })
    } else {
      bar.say(text)
    }
  }

  private func draw() {
    let state = state.withLock { $0 }
    var note = "\(state.sent) sent"
    if state.failed > 0 { note += ", \(state.failed) failed" }
    if state.usd > 0 { note += ", \(state.usd.fixed(2)) USD" }
    bar.update(done: Int64(state.stored), total: Int64(state.slots.count * targets), note: note)
  }

  private func fields(_ record: ProbeRecord) -> [String: any Sendable] {
    var fields: [String: any Sendable] = [
      "event": "probe", "source": record.key.source, "target": record.key.target, "slot": record.key.slot,
      "ordinal": record.key.ordinal, "outcome": record.outcome.rawValue, "usd": record.usd,
    ]
    if let detail = record.detail { fields["detail"] = detail }
    if let id = record.requestID { fields["request_id"] = id }
    if let total = record.total { fields["total_ms"] = Double(total) / 1e6 }
    if let ttft = record.phases?.requestTTFT { fields["ttft_ms"] = Double(ttft) / 1e6 }
    if let cold = record.phases?.coldTTFT { fields["cold_ttft_ms"] = Double(cold) / 1e6 }
    if let connect = record.phases?[.connect] { fields["connect_ms"] = Double(connect) / 1e6 }
    if let tokens = record.outputTokens { fields["output_tokens"] = tokens }
    return fields
  }
}
