import Foundation
import SpeculationCore
import StrictYAML
import Synchronization
import WideArea

/// Reads a `Setup` from a scenario's document. Every key has a default but the texts and the two pass times.
struct SetupReader {
  /// Paths in a scenario are relative to it.
  let folder: URL
  /// Fingerprints of files that setups are made from, by path.
  let files = FileFingerprints()

  /// What a setup depends on beside the document: the contents of the files it names.
  func fingerprints(_ root: YAMLSection) -> String {
    let text = try? root.section("text")
    let named = [try? root.text("profile"), try? text?.text("recording"), try? text?.text("fitted-to")]
    let traces = WorkloadReader(folder: folder).files(root)
    return (named.compactMap { $0 ?? nil } + traces).map { "\n\($0) \(files.of(path($0)))" }.joined()
  }

  func setup(_ root: YAMLSection) throws(YAMLError) -> Setup {
    let seed = UInt64(try root.integer("seed", in: 0...Int.max) ?? 1)
    let profile = try profile(root)
    let texts = try texts(try root.required("text", try root.section("text")))
    let target = try costs(root, "target", default: profile?.target)
    let draft = try costs(root, "draft", default: profile?.draft.reading, reads: true)
    let home =
      root.has("home") ? try costs(root, "home", default: profile?.draft.reading, reads: true) : draft
    let link = try link(root.section("link"), seed: seed)
    let controls = try root.section("controller")
    let mode: Mode = try controls?.choice("mode") ?? .autopilot
    let settings = try settings(controls, mode)
    var plan = SimulationPlan(settings: settings, targetCost: target.pass, homeCost: home.pass)
    plan.targetPrefillPerToken = target.prefill
    plan.homePrefillPerToken = home.prefill
    plan.workers = try workers(
      root, draft: draft, link: link, seed: seed,
      limits: mode == .autopilot ? Autopilot.limits : DraftLimits())
    plan.sessions = try root.integer("sessions", in: 1...1000) ?? 1
    plan.sharesTarget = try root.flag("shares-target") ?? true
    plan.contention = try root.number("contention", in: 1...10) ?? profile?.contention ?? 1
    plan.draftContention = try root.number("draft-contention", in: 1...10) ?? profile?.draftContention ?? 1
    plan.variation = profile?.variation ?? .steady
    plan.targetAttention = target.attention
    plan.draftAttention = draft.attention
    plan.stepOverhead = try root.duration("step-overhead", in: .zero ... .seconds(10)) ?? .zero
    plan.livenessTimeout =
      try root.duration("liveness-timeout", in: .milliseconds(1) ... .seconds(3600)) ?? .seconds(3)
    plan.pool.workersPerSession =
      try root.integer("workers-per-session", in: 1...16) ?? plan.pool.workersPerSession
    let workload = try WorkloadReader(folder: folder).workload(root, sessions: plan.sessions)
    return Setup(texts: texts, plan: plan, seed: seed, workload: workload)
  }

  private func path(_ text: String) -> String {
    URL(fileURLWithPath: text, relativeTo: folder).standardizedFileURL.path
  }

  // MARK: Texts

  private func texts(_ section: YAMLSection) throws(YAMLError) -> TextSource {
    let texts = try section.integer("texts", in: 1...100_000)
    let length = try section.integer("length", in: 1...10_000_000)
    // Drawn texts win, so that a variant can lay them over a recording.
    let recording = try section.text("recording")
    let tasks = try section.list("tasks", maxCount: 100) { (value) throws(YAMLError) in try value.text() }
    let joined = try section.flag("joined") ?? false
    if let fitted = try section.text("fitted-to") {
      return .fitted(path: path(fitted), texts: texts ?? 16, length: length ?? 256)
    }
    if let rate = try section.number("match-rate", in: 0...1, percent: true) {
      let afterMiss = try section.number("after-miss", in: 0...1, percent: true) ?? rate
      // `match-rate` is the long-run share, so what follows a hit follows from it and from what follows a miss.
      let afterHit = rate <= 0 ? 0 : 1 - (1 - rate) * afterMiss / rate
      guard afterHit >= 0 else {
        throw section.error(
          "after-miss",
          "with a match rate of \(rate), a match after a miss can be at most \(rate / (1 - rate))")
      }
      return .chain(
        afterHit: afterHit, afterMiss: afterMiss, spread: try section.number("spread", in: 0...1) ?? 0.5,
        texts: texts ?? 16, length: length ?? 256)
    }
    guard let recording else {
      throw section.error(
        nil, "text needs \"recording\", \"match-rate\" or \"fitted-to\"",
        hint: "add \"recording: recordings/qwen2.5-coder.jsonl.gz\"")
    }
    return .recording(path: path(recording), tasks: tasks ?? [], limit: texts ?? 0, joined: joined)
  }

  // MARK: Costs

  private func profile(_ root: YAMLSection) throws(YAMLError) -> CostProfile? {
    guard let name = try root.text("profile") else { return nil }
    do {
      return try CostProfile.read(path(name))
    } catch {
      throw root.error("profile", "\(error)")
    }
  }

  /// - Parameter reads: whether an engine that does not say what reading costs is charged for it all the same
  private func costs(
    _ root: YAMLSection, _ key: String, default other: CostProfile.Engine?, reads: Bool = false
  ) throws(YAMLError) -> CostProfile.Engine {
    guard let section = try root.section(key) else {
      if let other { return other }
      throw root.error(
        nil, "the scenario needs \"\(key)\" with the time of a pass, or a \"profile\"",
        hint: "add \"\(key): {pass: 30ms}\"")
    }
    let value = section.value("pass")
    let prefill = try section.duration("prefill", in: .zero ... .seconds(10))
    guard let value else {
      guard let other else { throw section.error(nil, "\(key) needs \"pass\"", hint: "add \"pass: 30ms\"") }
      return CostProfile.Engine(model: other.model, pass: other.pass, prefill: prefill ?? other.prefill)
    }
    let range = Duration.microseconds(1) ... .seconds(3600)
    var points: [Int: Duration] = [:]
    if value.kind == .mapping {
      let table = try value.section()
      for key in table.keys {
        guard let size = Int(key), (1...4096).contains(size) else {
          throw table.error(key, "\"\(key)\" is not a number of tokens from 1 to 4096")
        }
        points[size] = try table.duration(key, in: range)
      }
      guard !points.isEmpty else { throw section.error("pass", "a table of passes needs at least one size") }
    } else {
      points[1] = try value.duration(in: range)
    }
    let engine = CostProfile.Engine(
      model: key, pass: CostCurve(measured: points), prefill: prefill ?? other?.prefill ?? .zero)
    return reads && prefill == nil ? engine.reading : engine
  }

  // MARK: Workers and links

  private func workers(
    _ root: YAMLSection, draft: CostProfile.Engine, link: LinkModel, seed: UInt64,
    limits base: DraftLimits
  ) throws(YAMLError) -> [SimulationPlan.Worker] {
    func worker(_ section: YAMLSection?, link: LinkModel) throws(YAMLError) -> SimulationPlan.Worker {
      var worker = SimulationPlan.Worker(
        limits: try limits(section, default: base), cost: draft.pass, prefillPerToken: draft.prefill,
        link: link, diesAt: try section?.duration("dies-at"))
      worker.capacity = try section?.integer("capacity", in: 1...4096) ?? worker.capacity
      worker.joinsAt = try section?.duration("joins-at") ?? worker.joinsAt
      return worker
    }
    if let list = try root.sections("workers", maxCount: 256) {
      var workers: [SimulationPlan.Worker] = []
      for section in list {
        workers.append(
          try worker(
            section, link: section.has("link") ? try self.link(section.section("link"), seed: seed) : link))
      }
      return workers
    }
    let section = try root.section("worker")
    let one = try worker(section, link: link)
    return Array(repeating: one, count: try section?.integer("count", in: 0...256) ?? 1)
  }

  /// Keys of a drafter's limits, at a worker or at home.
  private func limits(
    _ section: YAMLSection?, default base: DraftLimits
  ) throws(YAMLError) -> DraftLimits {
    guard let section else { return base }
    var limits = base
    limits.passWidth = try section.integer("width", in: 1...256) ?? base.passWidth
    limits.candidates = try section.integer("candidates", in: 1...64) ?? base.candidates
    limits.minProbability =
      try section.number("min-probability", in: 0...1).map(Float.init) ?? base.minProbability
    limits.minPathProbability = try section.number("min-path", in: 0...1) ?? base.minPathProbability
    limits.maxDepth = try section.integer("depth", in: 1...1024) ?? base.maxDepth
    limits.maxNodes = try section.integer("nodes", in: 16...65536) ?? base.maxNodes
    if let problem = limits.problem { throw section.error(nil, problem) }
    return limits
  }

  private func link(_ section: YAMLSection?, seed: UInt64) throws(YAMLError) -> LinkModel {
    guard let section else { return LinkModel(seed: seed) }
    func milliseconds(_ duration: Duration) -> Double { duration.inMilliseconds }
    let roundTrip = try section.duration("rtt", in: .zero ... .seconds(120)) ?? .zero
    let rate = try section.rate("rate", in: 1000...1e12)
    let loss = try section.number("loss", in: 0...0.5, percent: true) ?? 0
    let jitter = try jitter(section.section("jitter"))
    func direction(_ key: String) throws(YAMLError) -> LinkDirection {
      LinkDirection(
        delayMilliseconds: milliseconds(
          try section.duration(key, in: .zero ... .seconds(60)) ?? roundTrip / 2),
        jitter: jitter, rateBitsPerSecond: rate, loss: loss)
    }
    var outages: [Outage] = []
    for outage in try section.sections("outages", maxCount: 1000) ?? [] {
      let start = try outage.required("start", try outage.duration("start"))
      let length = try outage.required("for", try outage.duration("for"))
      outages.append(
        Outage(
          startMilliseconds: milliseconds(start), durationMilliseconds: milliseconds(length),
          everyMilliseconds: try outage.duration("every").map(milliseconds),
          resets: try outage.flag("resets") ?? false))
    }
    var model = LinkModel(
      up: try direction("up-delay"), down: try direction("down-delay"), outages: outages, seed: seed)
    model.roundTrips = try series(section)
    if let problem = model.problem { throw section.error(nil, problem) }
    return model
  }

  private func series(_ section: YAMLSection) throws(YAMLError) -> RoundTripSeries? {
    guard let series = try section.section("series") else { return nil }
    let every = try series.required(
      "every", try series.duration("every", in: .milliseconds(1) ... .seconds(86_400)))
    let values = try series.required(
      "rtt",
      try series.list("rtt", maxCount: 1_000_000) { (value) throws(YAMLError) in
        try value.duration(in: .zero ... .seconds(120)).inMilliseconds
      })
    return RoundTripSeries(intervalMilliseconds: every.inMilliseconds, milliseconds: values)
  }

  private func jitter(_ section: YAMLSection?) throws(YAMLError) -> JitterDistribution {
    guard let section else { return .none }
    let range = Duration.zero ... .seconds(10)
    func time(_ section: YAMLSection, _ key: String) throws(YAMLError) -> Double {
      try section.required(key, try section.duration(key, in: range)).inMilliseconds
    }
    if let maximum = try section.duration("uniform", in: range) {
      return .uniform(maximum: maximum.inMilliseconds)
    }
    if let normal = try section.section("normal") {
      return .normal(mean: try time(normal, "mean"), deviation: try time(normal, "deviation"))
    }
    if let lognormal = try section.section("lognormal") {
      let sigma = try lognormal.required("sigma", try lognormal.number("sigma", in: 0...10))
      return .lognormal(median: try time(lognormal, "median"), sigma: sigma)
    }
    if let pareto = try section.section("pareto") {
      let shape = try pareto.required("shape", try pareto.number("shape", in: 0.1...100))
      return .pareto(scale: try time(pareto, "scale"), shape: shape)
    }
    throw section.error(
      nil, "jitter needs a distribution", hint: "uniform, normal, lognormal or pareto, such as {uniform: 5ms}"
    )
  }

  // MARK: Controller

  private enum Mode: String, CaseIterable {
    case plain
    case localSequential = "local-sequential"
    case localParallel = "local-parallel"
    case wan, autopilot
  }

  private enum Rule: String, CaseIterable {
    case everything
    case costAware = "cost-aware"
  }

  /// What a section names holds, whoever chooses the rest.
  private func settings(
    _ section: YAMLSection?, _ mode: Mode
  ) throws(YAMLError) -> SpeculationSettings {
    let length = try section?.integer("draft-length", in: 1...64) ?? SpeculationSettings.defaultDraftLength
    let policy = try policy(section?.value("policy"))
    var settings: SpeculationSettings =
      switch mode {
      case .plain: .plain
      case .localSequential: .localSequential(length: length)
      case .localParallel: .localParallel()
      case .autopilot: Autopilot.settings(homePolicy: policy)
      case .wan: .wideArea(homePolicy: policy)
      }
    var changed = settings
    if let verify = try section?.section("verify") {
      changed.verification.maxNodes =
        try verify.integer("width", in: 0...1024) ?? settings.verification.maxNodes
      if let rule: Rule = try verify.choice("rule") {
        changed.verification.rule = rule == .everything ? .everything : .costAware
      }
      changed.verification.minPathProbability =
        try verify.number("min-path", in: 0...1) ?? settings.verification.minPathProbability
    }
    changed.homeLimits = try limits(section?.section("home"), default: settings.homeLimits)
    changed.lookupLength = try section?.integer("lookup", in: 0...64) ?? settings.lookupLength
    changed.minGain = try section?.number("min-gain", in: 0...100) ?? settings.minGain
    switch mode {
    case .plain, .localSequential: break
    case .localParallel:
      settings.verification = changed.verification
      settings.homeLimits = changed.homeLimits
    case .wan, .autopilot: settings = changed
    }
    return settings
  }

  private func policy(_ value: YAMLValue?) throws(YAMLError) -> HomeDraftPolicy {
    guard let value else { return .never }
    if value.kind == .mapping {
      let section = try value.section()
      if let threshold = try section.number("entropy", in: 0...100) {
        return .entropy(threshold: Float(threshold))
      }
      if let price = try section.duration("value", in: .zero ... .seconds(60)) { return .value(price: price) }
      throw value.error("a policy is never, always, {entropy: NATS} or {value: TIME}")
    }
    switch try value.text() {
    case "never": return .never
    case "always": return .always
    default:
      throw value.error(
        "a policy is never, always, {entropy: NATS} or {value: TIME}", hint: "such as {value: 5ms}")
    }
  }
}

/// Remembers what it has read: a scenario has many points, and few files.
final class FileFingerprints: Sendable {
  private let known = Mutex<[String: String]>([:])

  func of(_ path: String) -> String {
    if let text = known.withLock({ $0[path] }) { return text }
    let text = Fingerprint.ofFile(path)
    known.withLock { $0[path] = text }
    return text
  }
}
