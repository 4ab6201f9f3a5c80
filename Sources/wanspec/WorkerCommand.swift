import ArgumentParser
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

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "The controller; repeat it for several. (env: WANSPEC_CONNECT, separated by spaces; default: 127.0.0.1:7070)",
      valueName: "host:port"),
    transform: HostPort.init(parsing:))
  var connect: [HostPort] = []

  @Option(
    help: ArgumentHelp(
      "Draft model: a name of `wanspec models list` or a GGUF file. (env: WANSPEC_DRAFT; default: \(DefaultModels.draft))",
      valueName: "model"))
  var draft: String?

  @Option(
    help: ArgumentHelp(
      "Cores to pin the engine to, such as 1 or 0-3. (env: WANSPEC_CPUS)", valueName: "cores"),
    transform: CoreList.init(parsing:))
  var cpus: CoreList?

  @OptionGroup var engine: EngineOptions

  @Option(
    help: ArgumentHelp("Name shown to operators. (env: WANSPEC_NAME; default: the host's)", valueName: "name")
  )
  var name: String?

  @Option(help: ArgumentHelp("Where it runs. (env: WANSPEC_SITE)", valueName: "site"))
  var site: String?

  @Option(
    name: .customLong("pass-width"), parsing: .unconditional,
    help: ArgumentHelp(
      "Nodes in one draft pass at most; the measured cost decides below that. (env: WANSPEC_PASS_WIDTH)",
      valueName: "nodes"))
  var passWidth: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Children kept for each node. (env: WANSPEC_CANDIDATES)", valueName: "n"))
  var candidates: Int?

  @Option(
    name: .customLong("max-depth"), parsing: .unconditional,
    help: ArgumentHelp("How far ahead to guess. (env: WANSPEC_MAX_DEPTH)", valueName: "tokens"))
  var maxDepth: Int?

  @Option(
    name: .customLong("min-path-probability"), parsing: .unconditional,
    help: ArgumentHelp(
      "Stop where a guess is less likely than this to be used. (env: WANSPEC_MIN_PATH_PROBABILITY)",
      valueName: "p"))
  var minPathProbability: Double?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Sessions at once. (env: WANSPEC_SESSIONS; default: 8)", valueName: "n"))
  var sessions: Int?

  @Flag(help: "Ask the running worker of this --name to leave, and wait until it has.")
  var drain = false

  @Option(
    name: .customLong("drain-timeout"), parsing: .unconditional,
    help: ArgumentHelp(
      "How long a worker that is to end goes on drafting for sessions that nobody takes over. (env: WANSPEC_DRAIN_TIMEOUT; default: 10s)",
      valueName: "duration"),
    transform: DurationArgument.init(parsing:))
  var drainTimeout: DurationArgument?

  @Option(
    help: ArgumentHelp("Settings, `key: value` for each flag. (env: WANSPEC_CONFIG)", valueName: "file"))
  var config: String?

  @OptionGroup(title: "Security") var security: WorkerSecurityOptions

  @Flag(help: "One JSON object a line instead of text. (env: WANSPEC_JSON)")
  var json = false

  @Flag(
    name: .customLong("exit-with-parent"),
    help: ArgumentHelp("End when standard input ends.", visibility: .hidden))
  var exitWithParent = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "How much drafting gives way to other work on this machine: 0 to 19, or idle for what nobody else wants. (env: WANSPEC_NICE; default: 5)",
      valueName: "n"),
    transform: NiceArgument.init(parsing:))
  var nice: NiceArgument?

  @OptionGroup var choosing: AutopilotOption

  @Flag(
    name: .customLong("forget"),
    help:
      "Forget a session's text when it ends, instead of keeping it for one that begins alike. (env: WANSPEC_FORGET)"
  )
  var forget = false

  enum CodingKeys: CodingKey {
    case connect, draft, cpus, engine, name, site, passWidth, candidates, maxDepth, minPathProbability
    case sessions, drain, drainTimeout, config, security, json, exitWithParent, nice, choosing, forget
  }

  mutating func validate() throws {
    let twins = EnvironmentTwins()
    connect = try twins("WANSPEC_CONNECT", connect)
    if connect.isEmpty { connect = [HostPort(host: "127.0.0.1", port: 7070)] }
    drainTimeout =
      try twins("WANSPEC_DRAIN_TIMEOUT", drainTimeout) ?? DurationArgument(nanoseconds: 10_000_000_000)
    draft = try twins("WANSPEC_DRAFT", draft) ?? DefaultModels.draft
    cpus = try twins("WANSPEC_CPUS", cpus)
    name = try twins("WANSPEC_NAME", name) ?? ProcessInfo.processInfo.hostName
    site = try twins("WANSPEC_SITE", site)
    sessions = try twins("WANSPEC_SESSIONS", sessions) ?? 8
    nice = try twins("WANSPEC_NICE", nice) ?? NiceArgument(.nice(5))
    json = try twins("WANSPEC_JSON", json)
    forget = try twins("WANSPEC_FORGET", forget)
    passWidth = try twins("WANSPEC_PASS_WIDTH", passWidth)
    candidates = try twins("WANSPEC_CANDIDATES", candidates)
    maxDepth = try twins("WANSPEC_MAX_DEPTH", maxDepth)
    minPathProbability = try twins("WANSPEC_MIN_PATH_PROBABILITY", minPathProbability)
    if let problem = limits.problem { throw ValidationError(problem + ".") }
    if let sessions, !(1...64).contains(sessions) {
      throw ValidationError("--sessions must be between 1 and 64, not \(sessions).")
    }
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
struct NiceArgument: TextArgument {
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
}
