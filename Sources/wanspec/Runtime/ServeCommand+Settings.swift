import DraftExchange
import Gateway
import LlamaBackend
import Logging
import ModelBackend
import NodeRuntime
import SpeculationCore

/// From flags to what the parts of the server take.
extension ServeCommand {
  func hostSettings(log: Logger, metrics: GatewayMetrics) throws -> ControllerHost.Settings {
    let models = ModelResolver()
    // Each answer needs a branch, each further leaf of its tree another; llama.cpp tells 256 apart.
    let lanes = min(256, max(64, sessions! * 8))
    var options = engine.llama(cores: cores.cpus?.cores ?? [], sessions: sessions!)
    options.cacheTokens = cacheTokens!
    options.lanes = lanes
    var settings = ControllerHost.Settings(target: (try models.path(for: target!), options))
    if let draft {
      settings.home = (
        try models.path(for: draft),
        engine.llama(
          drafting: Autopilot.limits.passWidth, cores: cores.draftCPUs?.cores ?? [], sessions: sessions!)
      )
    }
    settings.listen = listen!.address
    settings.allowInsecure = security.insecure
    settings.security = try security.listener(log: log)
    settings.livenessTimeout = workerTimeout!.duration
    settings.name = server.alias ?? target!
    settings.log = log
    settings.observer = metrics
    settings.measuredBatch = 64
    settings.node = ControllerNode.Configuration(
      maxSessions: sessions!, maxWaiting: maxQueue!, prefillChunk: prefillChunk!,
      pool: WorkerPool.Configuration(workersPerSession: workersPerSession!))
    return settings
  }

  func gatewayConfiguration(name: String, host: ControllerHost, log: Logger) throws -> GatewayConfiguration {
    let choices = SpeculationChoices(
      standard: standardSettings(host),
      wan: host.listener == nil ? nil : settings(for: .wan, host),
      home: host.home == nil ? nil : settings(for: .localParallel, host))
    var configuration = GatewayConfiguration(
      modelName: name, speculation: { choice throws(UnavailableChoice) in try choices.settings(for: choice) })
    if name != host.target.model.name { configuration.aliases = [host.target.model.name] }
    try server.apply(to: &configuration, log: log)
    return configuration
  }

  /// How answers are speculated unless their request says otherwise: what no flag fixes follows from what is measured.
  private func standardSettings(_ host: ControllerHost) -> SpeculationSettings {
    if speculation! == .off || host.listener == nil && host.home == nil { return .plain }
    return settings(for: host.listener == nil ? .localParallel : .wan, host)
  }

  private func settings(for mode: GenerationMode, _ host: ControllerHost) -> SpeculationSettings {
    speculating.byHand.settings(for: mode, hasHome: host.home != nil)
  }
}

/// What requests may ask of speculation here.
struct SpeculationChoices: Sendable {
  var standard: SpeculationSettings
  /// With workers; nil where none are taken.
  var wan: SpeculationSettings?
  /// With the server's own draft model alone; nil without one.
  var home: SpeculationSettings?

  func settings(for choice: SpeculationChoice) throws(UnavailableChoice) -> SpeculationSettings {
    var settings: SpeculationSettings
    switch choice.mode {
    case .auto: settings = standard
    case .off: return .plain
    case .wan:
      guard let wan else {
        throw UnavailableChoice("this server takes no workers; it was started with --listen none")
      }
      settings = wan
    case .home:
      guard let home else {
        throw UnavailableChoice("this server has no draft model of its own; start it with --draft")
      }
      settings = home
    }
    if let price = choice.price {
      guard home != nil else {
        throw UnavailableChoice("a price of drafting at home needs a server with --draft")
      }
      settings.homePolicy = .value(price: Duration(inSeconds: price / 1000))
    }
    if let width = choice.width { settings.verification.maxNodes = width }
    return settings
  }
}
