import ArgumentParser
import CommandSettings
import Console
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
        curl localhost:8080/v1/chat/completions -H 'Content-Type: application/json' \\
          -d '{"messages":[{"role":"user","content":"Hello"}],"max_tokens":64}'

      Exit codes: 0 after SIGTERM or SIGINT, 1 when something failed, 64 for wrong flags.
      """)

  @Option(Settings.target) var target: String?

  @Option(Settings.serverDraft) var draft: String?

  @OptionGroup(title: "HTTP API") var server: ServerOptions

  @Option(Settings.workerPort) var listen: ListenArgument?

  @Option(Settings.workersPerSession) var workersPerSession: Int?

  @Option(Settings.workerTimeout) var workerTimeout: DurationArgument?

  @OptionGroup(title: "Workers' port") var security: ListenerSecurityOptions

  @Option(Settings.speculation) var speculation: SpeculationSwitch?

  @OptionGroup(title: "Speculation") var speculating: SpeculationOptions

  @Option(Settings.sessions) var sessions: Int?

  @Option(Settings.maxQueue) var maxQueue: Int?

  @Option(Settings.cacheTokens) var cacheTokens: Int?

  @Option(Settings.prefillChunk) var prefillChunk: Int?

  @OptionGroup(title: "Audit") var audit: AuditOptions

  @OptionGroup(title: "Engine") var cores: CoreOptions

  @OptionGroup(title: "Chat") var chat: ChatOptions

  @OptionGroup(title: "Engine") var engine: EngineOptions

  @OptionGroup var configuration: ConfigurationOptions

  @Flag(
    name: .customLong("exit-with-parent"),
    help: ArgumentHelp("End when standard input ends.", visibility: .hidden))
  var exitWithParent = false

  mutating func validate() throws {
    target = try Settings.target.resolve(target)
    draft = try Settings.serverDraft.resolve(draft)
    listen = try Settings.workerPort.resolve(listen)
    workersPerSession = try Settings.workersPerSession.resolve(workersPerSession)
    workerTimeout = try Settings.workerTimeout.resolve(workerTimeout)
    speculation = try Settings.speculation.resolve(speculation)
    sessions = try Settings.sessions.resolve(sessions)
    maxQueue = try Settings.maxQueue.resolve(maxQueue)
    cacheTokens = try Settings.cacheTokens.resolve(cacheTokens)
    prefillChunk = try Settings.prefillChunk.resolve(prefillChunk)
    if let context = engine.context, cacheTokens! > 0, cacheTokens! < context {
      throw ValidationError(
        "--cache-tokens \(cacheTokens!) has no room for one answer with --context \(context): raise the one or lower"
          + " the other.")
    }
    if speculating.policy!.policy != .never, draft == nil {
      throw ValidationError("--policy \(speculating.policy!) drafts locally and needs --draft.")
    }
    if let address = listen!.address, let problem = security.problem(listeningOn: address) {
      throw ValidationError(problem)
    }
    try ConfigurationFile.requireAllKeysKnown()
  }

  func run() async throws {
    if configuration.printConfig {
      return configuration.print(chosen: speculating.byHand.values(hasLocal: draft != nil))
    }
    let log = server.log
    // Reads files, which may be pipes that nobody writes to: until then a signal ends it at once.
    let settings = try settings(log: log)
    // From here on a signal ends the server in order, however far it has come.
    TerminationSignals.install()
    if let note = speculating.byHand.note { log.info("\(note)") }
    let command = self
    try await ModelServer.run(
      settings, workers: { Self.report($0, log) },
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
        "url": "\(scheme)://\(HostPort(host: self.server.host!, port: port))",
        "workers": workerPort.map { "\(HostPort(host: workerHost, port: $0))" } ?? "none",
        "model": "\(server.host.target.model.name)", "sessions": "\(sessions!)",
        "context": "\(server.host.target.model.contextLength)",
      ])
    if let report = server.host.determinism {
      log.log(
        level: report.isDeterministic == server.host.target.capabilities.isDeterministic ? .info : .warning,
        "\(report.verdict)", metadata: ["engine_says": "\(server.host.target.capabilities.isDeterministic)"])
    }
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

enum SpeculationSwitch: String, CaseIterable, Sendable {
  case auto, off
}
