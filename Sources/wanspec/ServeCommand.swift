import ArgumentParser
import DraftExchange
import Foundation
import Logging
import Serving
import SpeculationCore

struct ServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Serve the target model: OpenAI's API for clients, a port for workers.",
    discussion: """
      Many requests share one target; workers anywhere draft for them, come and go, and none of them can change \
      or lose a token. Without a worker it serves as any other server does.

      Every flag may also be given by its environment variable, or in --config as `key: value` without the \
      dashes. A flag wins over the environment, and that over the file; --print-config shows what holds.

      Examples:
        wanspec serve --target qwen2.5-coder-1.5b-instruct-bf16
        wanspec serve --listen 0.0.0.0:7070 --certs certs --api-key-file keys --host 0.0.0.0
        curl localhost:8080/v1/chat/completions -d '{"messages":[{"role":"user","content":"Hello"}]}'

      Exit codes: 0 after SIGTERM or SIGINT, 1 when something failed, 64 for wrong flags.
      """)

  @Option(
    help: ArgumentHelp(
      "Target model: a name of `wanspec models list` or a GGUF file. (env: WANSPEC_TARGET; default: \(DefaultModels.target))",
      valueName: "model"))
  var target: String?

  @Option(
    help: ArgumentHelp(
      "Draft model at home, for `home` requests and for policies other than never. (env: WANSPEC_DRAFT; default: none)",
      valueName: "model"))
  var draft: String?

  @OptionGroup(title: "HTTP API") var server: ServerOptions

  @Option(
    help: ArgumentHelp(
      "Where workers dial in; none takes no workers. (env: WANSPEC_LISTEN; default: 127.0.0.1:7070)",
      valueName: "host:port"),
    transform: ListenArgument.init(parsing:))
  var listen: ListenArgument?

  @Option(
    name: .customLong("workers-per-session"), parsing: .unconditional,
    help: ArgumentHelp(
      "Workers that draft for one answer at a time. (env: WANSPEC_WORKERS_PER_SESSION; default: 1)",
      valueName: "n"))
  var workersPerSession: Int?

  @Option(
    name: .customLong("worker-timeout"), parsing: .unconditional,
    help: ArgumentHelp(
      "A worker silent for this long counts as gone. (env: WANSPEC_WORKER_TIMEOUT; default: 3s)",
      valueName: "duration"),
    transform: DurationArgument.init(parsing:))
  var workerTimeout: DurationArgument?

  @OptionGroup(title: "Workers' port") var security: ListenerSecurityOptions

  @Option(
    help: ArgumentHelp(
      "Whether answers are speculated unless a request says: auto or off. (env: WANSPEC_SPECULATION; default: auto)",
      valueName: "mode"))
  var speculation: SpeculationSwitch?

  @OptionGroup(title: "Speculation") var speculating: SpeculationOptions

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Answers written at once. (env: WANSPEC_SESSIONS; default: 8)", valueName: "n"))
  var sessions: Int?

  @Option(
    name: .customLong("max-queue"), parsing: .unconditional,
    help: ArgumentHelp(
      "Requests that wait; more get status 429. (env: WANSPEC_MAX_QUEUE; default: 128)", valueName: "n"))
  var maxQueue: Int?

  @Option(
    name: .customLong("cache-tokens"), parsing: .unconditional,
    help: ArgumentHelp(
      "Tokens of all answers that the cache holds; 0: a full context for each. (env: WANSPEC_CACHE_TOKENS; default: 0)",
      valueName: "tokens"))
  var cacheTokens: Int?

  @Option(
    name: .customLong("prefill-chunk"), parsing: .unconditional,
    help: ArgumentHelp(
      "Tokens of prompts in one pass while other answers are being written. (env: WANSPEC_PREFILL_CHUNK; default: 512)",
      valueName: "tokens"))
  var prefillChunk: Int?

  @OptionGroup(title: "Engine") var cores: CoreOptions

  @OptionGroup(title: "Engine") var engine: EngineOptions

  @Option(
    help: ArgumentHelp("Settings, `key: value` for each flag. (env: WANSPEC_CONFIG)", valueName: "file"))
  var config: String?

  @Flag(
    name: .customLong("print-config"), help: "Print the settings that hold, as a configuration file, and end."
  )
  var printConfig = false

  @Flag(
    name: .customLong("exit-with-parent"),
    help: ArgumentHelp("End when standard input ends.", visibility: .hidden))
  var exitWithParent = false

  mutating func validate() throws {
    let twins = EnvironmentTwins()
    target = try twins("WANSPEC_TARGET", target) ?? DefaultModels.target
    draft = try twins("WANSPEC_DRAFT", draft)
    listen = try twins("WANSPEC_LISTEN", listen) ?? ListenArgument(HostPort(host: "127.0.0.1", port: 7070))
    workersPerSession = try twins("WANSPEC_WORKERS_PER_SESSION", workersPerSession) ?? 1
    workerTimeout =
      try twins("WANSPEC_WORKER_TIMEOUT", workerTimeout) ?? DurationArgument(nanoseconds: 3_000_000_000)
    speculation = try twins("WANSPEC_SPECULATION", speculation) ?? .auto
    sessions = try twins("WANSPEC_SESSIONS", sessions) ?? 8
    maxQueue = try twins("WANSPEC_MAX_QUEUE", maxQueue) ?? 128
    cacheTokens = try twins("WANSPEC_CACHE_TOKENS", cacheTokens) ?? 0
    prefillChunk = try twins("WANSPEC_PREFILL_CHUNK", prefillChunk) ?? 512
    func require(_ value: Int, _ range: ClosedRange<Int>, _ flag: String) throws {
      if range.contains(value) { return }
      throw ValidationError(
        "--\(flag) must be between \(range.lowerBound) and \(range.upperBound), not \(value).")
    }
    try require(sessions!, 1...128, "sessions")
    try require(maxQueue!, 0...65_536, "max-queue")
    try require(cacheTokens!, 0...(1 << 26), "cache-tokens")
    if let context = engine.context, cacheTokens! > 0, cacheTokens! < context {
      throw ValidationError(
        "--cache-tokens \(cacheTokens!) has no room for one answer with --context \(context): raise the one or lower"
          + " the other.")
    }
    try require(prefillChunk!, 16...4096, "prefill-chunk")
    try require(workersPerSession!, 1...8, "workers-per-session")
    if speculating.policy!.policy != .never, draft == nil {
      throw ValidationError("--policy \(speculating.policy!) drafts at home and needs --draft.")
    }
    if let address = listen!.address, let problem = security.problem(listeningOn: address) {
      throw ValidationError(problem)
    }
    try ConfigurationFile.requireAllKeysKnown()
  }

  func run() async throws {
    if printConfig { return StandardOutput.write(Data(effectiveSettings.utf8)) }
    let log = server.log
    // From here on a signal ends the server in order, however far it has come.
    TerminationSignals.install()
    if let note = speculating.byHand.note { log.info("\(note)") }
    let command = self
    try await ModelServer.run(
      try settings(log: log), workers: { Self.report($0, log) },
      loaded: { server in
        CrashSignals.install(patience: 5) { signal in
          log.critical("crashed; telling the clients", metadata: ["signal": "\(signal)"])
          await server.engineCrashed()
        }
      }, ready: { command.report(port: $1, workerPort: $2, of: $0, log) },
      until: { await TerminationSignals.first(exitWithParent: command.exitWithParent) })
    log.info("stopped")
  }

  private func report(port: Int, workerPort: Int?, of server: ModelServer, _ log: Logger) {
    let scheme = self.server.certificate == nil ? "http" : "https"
    let workerHost = listen!.address?.host ?? ""
    log.info(
      "ready",
      metadata: [
        "url": "\(scheme)://\(self.server.host!):\(port)",
        "workers": workerPort.map { "\(workerHost):\($0)" } ?? "none",
        "model": "\(server.host.target.model.name)", "sessions": "\(sessions!)",
        "context": "\(server.host.target.model.contextLength)",
      ])
  }

  private static func report(_ event: WorkerListener.Event, _ log: Logger) {
    switch event {
    case .attached(let id, let worker):
      log.info(
        "worker attached",
        metadata: [
          "worker": "\(worker.name)", "site": "\(worker.site)", "id": "\(id.rawValue)",
          "model": "\(worker.modelName)", "capacity": "\(worker.capacity)",
        ])
    case .detached(let id, let reason):
      log.info("worker detached", metadata: ["id": "\(id.rawValue)", "reason": "\(reason)"])
    case .refused(let peer, let reason):
      log.warning("worker refused", metadata: ["peer": "\(peer)", "reason": "\(reason)"])
    default: break
    }
  }
}

/// An address, or "none".
struct ListenArgument: TextArgument, CustomStringConvertible {
  var address: HostPort?

  init(_ address: HostPort?) { self.address = address }

  init(parsing text: String) throws { address = text == "none" ? nil : try HostPort(parsing: text) }

  var description: String { address?.description ?? "none" }
}

enum SpeculationSwitch: String, ExpressibleByArgument, CaseIterable, Sendable {
  case auto, off
}
