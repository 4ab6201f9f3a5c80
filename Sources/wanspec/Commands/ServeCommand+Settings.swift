import Logging
import NodeRuntime
import Serving
import SpeculationCore

/// From flags to what the server takes.
extension ServeCommand {
  func settings(log: Logger) throws -> ModelServer.Settings {
    let models = ModelResolver()
    let conversations = try chat.settings()
    var plan = engine.target(
      try models.path(for: target!), cores: cores.cpus?.cores ?? [], sessions: sessions!)
    plan.cacheTokens = cacheTokens!
    plan.chatTemplate = conversations.template
    // Each answer needs a branch, each further leaf of its tree another.
    plan.allow(branches: sessions! * 8)
    var controller = ControllerHost.Settings(target: plan.load, listen: listen!.address)
    if let draft {
      controller.local =
        engine.draft(
          try models.path(for: draft), cores: cores.draftCPUs?.cores ?? [], sessions: sessions!
        ).load
    }
    controller.allowInsecure = security.insecure
    controller.security = try security.listener(log: log)
    controller.livenessTimeout = workerTimeout!.duration
    controller.node = ControllerNode.Configuration(
      maxSessions: sessions!, maxWaiting: maxQueue!, prefillChunk: prefillChunk!,
      auditShare: audit.share!.share,
      pool: WorkerPool.Configuration(workersPerSession: workersPerSession!))
    var settings = ModelServer.Settings(
      name: server.alias ?? target!, controller: controller, byHand: speculating.byHand,
      speculates: speculation! == .auto, log: log)
    try server.apply(to: &settings.gateway, log: log)
    conversations.apply(to: &settings.gateway)
    settings.gateway.failsAfterWrongAudit = audit.strict
    if audit.share!.share > 0 { settings.auditLog = try AuditLog(path: audit.log!, target: target!) }
    return settings
  }
}
