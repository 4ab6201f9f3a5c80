import Foundation
import SpeculationCore
import Spelling
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
    let text = try? ScenarioKeys.text.read(root)
    let named = [
      try? ScenarioKeys.profile.read(root), try? ScenarioKeys.Text.recording.read(text),
      try? ScenarioKeys.Text.fittedTo.read(text),
    ]
    let traces = WorkloadReader(folder: folder).files(root)
    return (named.compactMap { $0 ?? nil } + traces).map { "\n\($0) \(files.of(path($0)))" }.joined()
  }

  func setup(_ root: YAMLSection) throws(YAMLError) -> Setup {
    let seed = UInt64(try ScenarioKeys.seed.value(root))
    let profile = try profile(root)
    let texts = try texts(try ScenarioKeys.text.required(root))
    let target = try costs(root, ScenarioKeys.target, default: profile?.target)
    let draft = try costs(root, ScenarioKeys.draft, default: profile?.draft.reading, reads: true)
    let local = try costs(root, ScenarioKeys.local, default: draft, reads: true)
    let link = try link(ScenarioKeys.link.read(root), seed: seed)
    let controls = try ScenarioKeys.controller.read(root)
    let mode = try ScenarioKeys.Controller.mode.value(controls)
    let settings = try settings(controls, mode)
    var plan = SimulationPlan(settings: settings, targetCost: target.pass, localCost: local.pass)
    plan.targetPrefillPerToken = target.prefill
    plan.localPrefillPerToken = local.prefill
    plan.workers = try workers(
      root, draft: draft, link: link, seed: seed,
      limits: mode == .autopilot ? Autopilot.limits : DraftLimits())
    plan.sessions = try ScenarioKeys.sessions.value(root)
    plan.sharesTarget = try ScenarioKeys.sharesTarget.value(root)
    plan.contention = try ScenarioKeys.contention.value(root, or: profile?.contention)
    plan.draftContention = try ScenarioKeys.draftContention.value(root, or: profile?.draftContention)
    plan.variation = profile?.variation ?? .steady
    plan.targetAttention = target.attention
    plan.draftAttention = draft.attention
    plan.targetOutput = target.output
    plan.stepOverhead = try ScenarioKeys.stepOverhead.value(root)
    plan.livenessTimeout = try ScenarioKeys.livenessTimeout.value(root)
    plan.pool.workersPerSession = try ScenarioKeys.workersPerSession.value(root)
    let workload = try WorkloadReader(folder: folder).workload(root, sessions: plan.sessions)
    return Setup(texts: texts, plan: plan, seed: seed, workload: workload)
  }

  private func path(_ text: String) -> String {
    URL(fileURLWithPath: text, relativeTo: folder).standardizedFileURL.path
  }

  // MARK: Texts

  private func texts(_ section: YAMLSection) throws(YAMLError) -> TextSource {
    typealias Keys = ScenarioKeys.Text
    let texts = try Keys.texts.read(section)
    let length = try Keys.length.value(section)
    // Drawn texts win, so that a variant can lay them over a recording.
    let recording = try Keys.recording.read(section)
    let tasks = try Keys.tasks.read(section)?.list(maxCount: 100) { (value) throws(YAMLError) in
      try value.text()
    }
    let joined = try Keys.joined.value(section)
    if let fitted = try Keys.fittedTo.read(section) {
      return .fitted(path: path(fitted), texts: texts ?? 16, length: length)
    }
    if let rate = try Keys.matchRate.read(section) {
      let afterMiss = try Keys.afterMiss.read(section) ?? rate
      // `match-rate` is the long-run share, so what follows a hit follows from it and from what follows a miss.
      let afterHit = rate <= 0 ? 0 : 1 - (1 - rate) * afterMiss / rate
      guard afterHit >= 0 else {
        throw section.error(
          "after-miss",
          "with a match rate of \(rate), a match after a miss can be at most \(rate / (1 - rate))")
      }
      return .chain(
        afterHit: afterHit, afterMiss: afterMiss, spread: try Keys.spread.value(section),
        texts: texts ?? 16, length: length)
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
    guard let name = try ScenarioKeys.profile.read(root) else { return nil }
    do {
      return try CostProfile.read(path(name))
    } catch {
      throw root.error("profile", "\(error)")
    }
  }

  /// - Parameter reads: whether an engine that does not say what reading costs is charged for it all the same
  private func costs(
    _ root: YAMLSection, _ key: ScenarioKey<YAMLSection>, default other: CostProfile.Engine?,
    reads: Bool = false
  ) throws(YAMLError) -> CostProfile.Engine {
    let section = try key.read(root)
    let key = key.written(in: root)
    guard let section else {
      if let other { return other }
      throw root.error(
        nil, "the scenario needs \"\(key)\" with the time of a pass, or a \"profile\"",
        hint: "add \"\(key): {pass: 30ms}\"")
    }
    let value = try ScenarioKeys.Engine.pass.read(section)
    let prefill = try ScenarioKeys.Engine.prefill.read(section)
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
    typealias Keys = ScenarioKeys.Worker
    func worker(_ section: YAMLSection?, link: LinkModel) throws(YAMLError) -> SimulationPlan.Worker {
      var worker = SimulationPlan.Worker(
        limits: try limits(section, default: base), cost: draft.pass, prefillPerToken: draft.prefill,
        link: link, diesAt: try Keys.diesAt.read(section))
      worker.capacity = try Keys.capacity.value(section)
      worker.joinsAt = try Keys.joinsAt.value(section)
      return worker
    }
    if let list = try ScenarioKeys.workers.read(root) {
      var workers: [SimulationPlan.Worker] = []
      for section in list {
        let own = try ScenarioKeys.link.read(section)
        workers.append(try worker(section, link: own == nil ? link : try self.link(own, seed: seed)))
      }
      return workers
    }
    let section = try ScenarioKeys.worker.read(root)
    let one = try worker(section, link: link)
    return Array(repeating: one, count: try Keys.count.value(section))
  }

  /// Keys of a drafter's limits, at a worker or locally.
  private func limits(
    _ section: YAMLSection?, default base: DraftLimits
  ) throws(YAMLError) -> DraftLimits {
    guard let section else { return base }
    var limits = base
    typealias Keys = ScenarioKeys.Drafter
    limits.passWidth = try Keys.width.read(section) ?? base.passWidth
    limits.candidates = try Keys.candidates.read(section) ?? base.candidates
    limits.minProbability = try Keys.minProbability.read(section).map(Float.init) ?? base.minProbability
    limits.minPathProbability = try Keys.minPath.read(section) ?? base.minPathProbability
    limits.maxDepth = try Keys.depth.read(section) ?? base.maxDepth
    limits.maxNodes = try Keys.nodes.read(section) ?? base.maxNodes
    if let problem = limits.problem { throw section.error(nil, problem) }
    return limits
  }

  private func link(_ section: YAMLSection?, seed: UInt64) throws(YAMLError) -> LinkModel {
    guard let section else { return LinkModel(seed: seed) }
    func milliseconds(_ duration: Duration) -> Double { duration.inMilliseconds }
    typealias Keys = ScenarioKeys.Link
    let roundTrip = try Keys.rtt.value(section)
    let rate = try Keys.rate.read(section)
    let loss = try Keys.loss.value(section)
    let jitter = try jitter(Keys.jitter.read(section))
    func direction(_ key: ScenarioKey<Duration>) throws(YAMLError) -> LinkDirection {
      LinkDirection(
        delayMilliseconds: milliseconds(try key.read(section) ?? roundTrip / 2),
        jitter: jitter, rateBitsPerSecond: rate, loss: loss)
    }
    var outages: [Outage] = []
    for outage in try Keys.outages.read(section) ?? [] {
      let start = try Keys.Outages.start.required(outage)
      let length = try Keys.Outages.length.required(outage)
      outages.append(
        Outage(
          startMilliseconds: milliseconds(start), durationMilliseconds: milliseconds(length),
          everyMilliseconds: try Keys.Outages.every.read(outage).map(milliseconds),
          resets: try Keys.Outages.resets.value(outage)))
    }
    var model = LinkModel(
      up: try direction(Keys.upDelay), down: try direction(Keys.downDelay), outages: outages, seed: seed)
    model.roundTrips = try series(section)
    if let problem = model.problem { throw section.error(nil, problem) }
    return model
  }

  private func series(_ section: YAMLSection) throws(YAMLError) -> RoundTripSeries? {
    guard let series = try ScenarioKeys.Link.series.read(section) else { return nil }
    let every = try ScenarioKeys.Link.Series.every.required(series)
    let values = try ScenarioKeys.Link.Series.rtt.required(series).list(maxCount: 1_000_000) {
      (value) throws(YAMLError) in try value.duration(in: .zero ... .seconds(120)).inMilliseconds
    }
    return RoundTripSeries(intervalMilliseconds: every.inMilliseconds, milliseconds: values)
  }

  private func jitter(_ section: YAMLSection?) throws(YAMLError) -> JitterDistribution {
    guard let section else { return .none }
    typealias Keys = ScenarioKeys.Link.Jitter
    if let maximum = try Keys.uniform.read(section) {
      return .uniform(maximum: maximum.inMilliseconds)
    }
    if let normal = try Keys.normal.read(section) {
      return .normal(
        mean: try Keys.mean.required(normal).inMilliseconds,
        deviation: try Keys.deviation.required(normal).inMilliseconds)
    }
    if let lognormal = try Keys.lognormal.read(section) {
      return .lognormal(
        median: try Keys.median.required(lognormal).inMilliseconds,
        sigma: try Keys.sigma.required(lognormal))
    }
    if let pareto = try Keys.pareto.read(section) {
      return .pareto(
        scale: try Keys.scale.required(pareto).inMilliseconds, shape: try Keys.shape.required(pareto))
    }
    throw section.error(
      nil, "jitter needs a distribution", hint: "uniform, normal, lognormal or pareto, such as {uniform: 5ms}"
    )
  }

  // MARK: Controller

  private typealias Keys = ScenarioKeys.Controller

  /// What a section names holds, whoever chooses the rest.
  private func settings(
    _ section: YAMLSection?, _ mode: ScenarioKeys.Controller.Mode
  ) throws(YAMLError) -> SpeculationSettings {
    let length = try Keys.draftLength.value(section)
    let policy = try policy(Keys.policy.read(section))
    var settings: SpeculationSettings =
      switch mode {
      case .plain: .plain
      case .localSequential: .localSequential(length: length)
      case .localParallel: .localParallel()
      case .autopilot: Autopilot.settings(localPolicy: policy)
      case .wan: .wideArea(localPolicy: policy)
      }
    var changed = settings
    if let verify = try Keys.verify.read(section) {
      changed.verification.maxNodes =
        try Keys.Verify.width.read(verify) ?? settings.verification.maxNodes
      if let rule = try Keys.Verify.rule.read(verify) {
        changed.verification.rule = rule == .everything ? .everything : .costAware
      }
      changed.verification.minPathProbability =
        try Keys.Verify.minPath.read(verify) ?? settings.verification.minPathProbability
    }
    changed.localLimits = try limits(Keys.local.read(section), default: settings.localLimits)
    changed.lookupLength = try Keys.lookup.read(section) ?? settings.lookupLength
    changed.minGain = try Keys.minGain.read(section) ?? settings.minGain
    switch mode {
    case .plain, .localSequential: break
    case .localParallel:
      settings.verification = changed.verification
      settings.localLimits = changed.localLimits
    case .wan, .autopilot: settings = changed
    }
    return settings
  }

  private func policy(_ value: YAMLValue?) throws(YAMLError) -> LocalDraftPolicy {
    guard let value else { return .never }
    let section = value.kind == .mapping ? try value.section() : nil
    let name = section == nil ? try value.text() : nil
    for form in LocalDraftPolicy.forms {
      switch form.kind {
      case .plain(let policy): if name == form.name { return policy }
      case .nats(let make):
        if let nats = try Keys.Policy.nats(form).read(section) { return make(Float(nats)) }
      case .time(let make): if let time = try Keys.Policy.time(form).read(section) { return make(time) }
      }
    }
    let notations = LocalDraftPolicy.forms.map { form in
      if case .plain = form.kind { form.name } else { "{\(form.notation.replacing(":", with: ": "))}" }
    }
    throw value.error(
      "a policy is \(notations.listed(before: "or"))", hint: "such as {value: 5ms}")
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
