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
        try models.path(for: draft), engine.llama(cores: cores.draftCPUs?.cores ?? [], sessions: sessions!)
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
      standard: standardSettings(host), hasWorkers: host.listener != nil, hasHome: host.home != nil)
    var configuration = GatewayConfiguration(
      modelName: name, speculation: { choice throws(UnavailableChoice) in try choices.settings(for: choice) })
    if name != host.target.model.name { configuration.aliases = [host.target.model.name] }
    try server.apply(to: &configuration, log: log)
    return configuration
  }

  /// How answers are speculated unless their request says otherwise. What no flag fixes is chosen from what was
  /// measured.
  private func standardSettings(_ host: ControllerHost) -> SpeculationSettings {
    if speculation! == .off || host.listener == nil && host.home == nil { return .plain }
    if host.listener == nil { return .localParallel() }
    return speculating.serverSettings(
      targetCost: host.targetCost, homeCost: host.home == nil ? nil : host.homeCost)
  }
}

/// What requests may ask of speculation here.
struct SpeculationChoices: Sendable {
  var standard: SpeculationSettings
  var hasWorkers: Bool
  var hasHome: Bool

  func settings(for choice: SpeculationChoice) throws(UnavailableChoice) -> SpeculationSettings {
    var settings: SpeculationSettings
    switch choice.mode {
    case .auto: settings = standard
    case .off: return .plain
    case .wan:
      guard hasWorkers else {
        throw UnavailableChoice("this server takes no workers; it was started with --listen none")
      }
      settings = standard.usesWorkers ? standard : .wideArea()
    case .home:
      guard hasHome else {
        throw UnavailableChoice("this server has no draft model of its own; start it with --draft")
      }
      settings = .localParallel(verification: standard.verification)
      if standard.verification.maxNodes == 0 { settings.verification = VerificationPolicy() }
    }
    if let price = choice.price {
      guard hasHome else {
        throw UnavailableChoice("a price of drafting at home needs a server with --draft")
      }
      settings.homePolicy = .value(price: Duration(inSeconds: price / 1000))
    }
    if let width = choice.width { settings.verification.maxNodes = width }
    return settings
  }
}
