import ArgumentParser
import CommandSettings
import Console
import Foundation
import ModelBackend
import NodeRuntime
import Serving
import SpeculationCore

struct WorkerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "worker",
    abstract: "Draft for a controller, from anywhere.",
    discussion: """
      Dials the controller, so it works behind NAT, and keeps trying when there is none. For each session it \
      grows a tree of guesses, best first, and sends every expanded node at once. Being connected is being \
      available; ending it costs nobody a token. Several controllers share one worker: each pass goes to the \
      nodes that are most likely to be used, whoever asked. How widely and how far ahead it guesses follows \
      from what it measures; a limit that a flag sets holds, and the rest stays with the autopilot.

      On SIGTERM or SIGINT the worker drains: it takes no more sessions, its controllers hand those it has to \
      others, and it ends when it has none left. `wanspec worker --drain` does that to the worker of the same \
      --name on this machine, and waits for it.

      Examples:
        wanspec worker --connect 127.0.0.1:7070
        wanspec worker --connect controller.example:7070 --certs certs --cpus 0-3
        wanspec worker --connect controller.example:7070 --tls-ca ca.pem --token-file token

      Connections to other machines use TLS 1.3, with a certificate or a join token from the controller's \
      operator (see `wanspec certs` and `wanspec tokens`). Without, they need --insecure, and whoever is on the \
      path can read the token ids of the sessions.
      """)

  @Option(Settings.connect) var connect: [HostPort] = []

  @Option(Settings.draft) var draft: String?

  @Option(Settings.cpus) var cpus: CoreList?

  @OptionGroup var engine: EngineOptions

  @Option(Settings.workerName) var name: String?

  @Option(Settings.site) var site: String?

  @Option(Settings.passWidth) var passWidth: Int?

  @Option(Settings.candidates) var candidates: Int?

  @Option(Settings.maxDepth) var maxDepth: Int?

  @Option(Settings.minPathProbability) var minPathProbability: Double?

  @Option(Settings.workerSessions) var sessions: Int?

  @Flag(help: "Ask the running worker of this --name to leave, and wait until it has.")
  var drain = false

  @Option(Settings.workerDrainTimeout) var drainTimeout: DurationArgument?

  @OptionGroup var configuration: ConfigurationOptions

  @OptionGroup(title: "Security") var security: WorkerSecurityOptions

  @Flag(Settings.json) var json = false

  @Flag(
    name: .customLong("exit-with-parent"),
    help: ArgumentHelp("End when standard input ends.", visibility: .hidden))
  var exitWithParent = false

  @Option(Settings.nice) var nice: NiceArgument?

  @OptionGroup var choosing: AutopilotOption

  @Flag(Settings.forget) var forget = false

  enum CodingKeys: CodingKey {
    case connect, draft, cpus, engine, name, site, passWidth, candidates, maxDepth, minPathProbability
    case sessions, drain, drainTimeout, configuration, security, json, exitWithParent, nice, choosing, forget
  }

  mutating func validate() throws {
    connect = try Settings.connect.resolve(connect)
    drainTimeout = try Settings.workerDrainTimeout.resolve(drainTimeout)
    draft = try Settings.draft.resolve(draft)
    cpus = try Settings.cpus.resolve(cpus)
    name = try Settings.workerName.resolve(name) ?? ProcessInfo.processInfo.hostName
    site = try Settings.site.resolve(site)
    sessions = try Settings.workerSessions.resolve(sessions)
    nice = try Settings.nice.resolve(nice)
    json = try Settings.json.resolve(json)
    forget = try Settings.forget.resolve(forget)
    passWidth = try Settings.passWidth.resolve(passWidth)
    candidates = try Settings.candidates.resolve(candidates)
    maxDepth = try Settings.maxDepth.resolve(maxDepth)
    minPathProbability = try Settings.minPathProbability.resolve(minPathProbability)
    if let problem = limits.problem { throw ValidationError(problem + ".") }
    if connect.count > WorkerNode.maxControllers {
      throw ValidationError(
        "--connect can name \(WorkerNode.maxControllers) controllers, not \(connect.count).")
    }
    if Set(connect).count < connect.count { throw ValidationError("--connect names a controller twice.") }
    for address in connect {
      if address.port == 0 { throw ValidationError("--connect needs a port from 1 to 65535.") }
      if !drain, let problem = security.problem(dialling: address) { throw ValidationError(problem) }
    }
    try ConfigurationFile.requireAllKeysKnown()
  }

  /// How widely and how far ahead it guesses: what flags say, and for the rest what the autopilot says.
  private var limits: DraftLimits {
    var limits = choosing.autopilot ? Autopilot.limits : DraftLimits()
    if let passWidth { limits.passWidth = passWidth }
    if let candidates { limits.candidates = candidates }
    if let maxDepth { limits.maxDepth = maxDepth }
    if let minPathProbability { limits.minPathProbability = minPathProbability }
    return limits
  }

  /// What flags say of the limits.
  private var handSettings: [(flag: String, value: String)] {
    let all: [(String, String?)] = [
      ("pass-width", passWidth.map(String.init)), ("candidates", candidates.map(String.init)),
      ("max-depth", maxDepth.map(String.init)),
      ("min-path-probability", minPathProbability.map { "\($0)" }),
    ]
    return all.compactMap { flag, value in value.map { (flag, $0) } }
  }

  func run() async throws {
    let output = EventLines(json: json)
    if configuration.printConfig { return configuration.print(chosen: HandSettings.values(limits)) }
    if drain { return try await WorkerDrain.drain(name: name!, timeout: drainTimeout!.duration, output) }
    let security = try self.security.connection(log: .standardError)
    var plan = engine.draft(
      try ModelResolver().path(for: draft!), passWidth: limits.passWidth, cores: cpus?.cores ?? [],
      sessions: sessions!, priority: nice!.priority)
    plan.sharesPrefixes = !forget
    // Beside a text that is being read there are excerpts of it.
    plan.treeNodes += WorkerMachine.Configuration.defaultExcerptTokens
    let model = try await plan.load()
    if choosing.autopilot, let note = HandSettings.note(handSettings) {
      StandardError.write("wanspec: \(note)\n")
    }
    var settings = WorkerHost.Settings(controllers: connect, name: name!)
    settings.site = site ?? ""
    settings.limits = limits
    settings.sessions = sessions!
    settings.security = security
    settings.allowInsecure = self.security.insecure
    settings.drainTimeout = drainTimeout!.duration
    settings.softwareVersion = BuildInformation.version
    let command = self
    let expansions = try await WorkerHost.run(
      settings, draft: model,
      until: { await TerminationSignals.first(exitWithParent: command.exitWithParent) },
      report: { command.report($0, model.model, output) })
    output.say("stopped", "worker stopped after \(expansions) expansions", ["expansions": expansions])
    RunFile.release()
  }

  private func report(_ event: WorkerHost.Event, _ model: ModelDescription, _ output: EventLines) {
    switch event {
    case .ready(let cost):
      // Before the parent reads that this is ready, and may end it.
      TerminationSignals.install()
      RunFile.hold(name: name!)
      var fields = HandSettings.fields(usesAutopilot: choosing.autopilot, handSettings)
      fields["name"] = name!
      fields["model"] = model.name
      fields["d_ms"] = (cost.seconds(for: 1) ?? 0) * 1000
      output.say(
        "ready",
        "worker \(name!) ready: \(model.name), \(describe(cost)); dialling "
          + connect.map(\.description).joined(separator: ", "),
        fields)
    case .connected(let controller, let model):
      output.say(
        "connected", "attached to \(controller) (\(model))", ["controller": controller, "model": model])
    case .disconnected(let reason, let retryIn):
      output.say(
        "disconnected",
        "no controller: \(reason); trying again in \(retryIn.inMilliseconds.fixed(0)) ms",
        ["reason": reason, "retry_ms": retryIn.inMilliseconds])
    case .refused(let address, let error):
      output.say(
        "refused", "\(address) does not want this worker: \(error)",
        ["controller": address.description, "reason": "\(error)"])
    case .draining(let sessions):
      output.say("draining", "leaving; \(sessions) sessions are handed over", ["sessions": sessions])
    }
  }

  private func describe(_ cost: CostCurve) -> String {
    let shown = cost.points.filter { [1, 4, 8].contains($0.size) }
    return shown.map { "d(\($0.size)) = \($0.duration.inMilliseconds.fixed(1)) ms" }.joined(separator: ", ")
  }
}

/// "5" or "idle".
struct NiceArgument: TextArgument, CustomStringConvertible {
  var priority: EnginePriority

  init(_ priority: EnginePriority) { self.priority = priority }

  init(parsing text: String) throws {
    if text == "idle" {
      priority = .idle
    } else if let value = Int(text), (0...19).contains(value) {
      priority = .nice(value)
    } else {
      throw ArgumentProblem("\"\(text)\" is neither a nice value from 0 to 19 nor \"idle\"")
    }
  }

  var description: String {
    switch priority {
    case .idle: "idle"
    case .nice(let value): "\(value)"
    case .ordinary: "0"
    }
  }
}
