import Credentials
import DraftExchange
import Foundation
import Logging
import Serving

/// A folder of `wanspec certs` with a controller "main" for 127.0.0.1 and localhost and a worker "w1", made for
/// one test, and what both sides make of it.
final class SecurityFixture: Sendable {
  let certs: CertificateDirectory
  let log: Logger

  init(controllerHosts: [String] = ["127.0.0.1", "localhost"]) throws {
    let path = FileManager.default.temporaryDirectory.appending(path: "wanspec-\(UUID().uuidString)").path
    certs = CertificateDirectory(path)
    log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    try certs.initialize()
    _ = try certs.issue(.controller, "main", hosts: try controllerHosts.map { try SubjectHost($0) })
    _ = try certs.issue(.worker, "w1", site: "attic")
  }

  deinit { try? FileManager.default.removeItem(atPath: certs.path) }

  struct Controller: Sendable {
    var security: ListenerSecurity
    var tls: ReloadingServerTLS
    var gate: WorkerGate
  }

  /// - Parameters:
  ///   - certificates: whether workers must have one, or may if there are tokens, too
  ///   - authority: of the workers; nil: the folder's
  func controller(
    named name: String = "main", certificates: Bool = true, tokens: Bool = false, authority: String? = nil
  ) throws -> Controller {
    let authority = authority ?? certs.authority
    let clients: ReloadingServerTLS.ClientCertificates =
      !certificates ? .none : tokens ? .optional(authorities: authority) : .required(authorities: authority)
    let tls = try ReloadingServerTLS(
      certificate: certs.certificate(name), key: certs.key(name), clients: clients,
      applicationProtocols: ["h2"], interval: .milliseconds(50), log: log)
    let gate = try WorkerGate(
      certificates: certificates, allowedWorkers: certs.allowedWorkers,
      joinTokens: tokens ? certs.joinTokens : nil, interval: .milliseconds(50), log: log)
    return Controller(
      security: .tls(
        ServerTLS(
          context: { tls.context }, authenticator: gate,
          recheckInterval: .milliseconds(50))), tls: tls, gate: gate)
  }

  /// - Parameters:
  ///   - name: of the certificate to present; nil: none
  ///   - authority: that the worker trusts; nil: the folder's
  func worker(
    _ name: String? = "w1", token: String? = nil, authority: String? = nil, serverName: String? = nil
  ) throws -> ConnectionSecurity {
    let tls = try ReloadingClientTLS(
      authorities: authority ?? certs.authority,
      identity: name.map { (certs.certificate($0), certs.key($0)) }, applicationProtocols: ["h2"], log: log)
    return .tls(
      ClientTLS(
        context: { tls.context }, token: { token }, serverName: serverName,
        isCertificate: { CertificateHosts.certificate($0, isFor: $1) }))
  }

  func makeToken(_ name: String, lifetime: TimeInterval? = nil, now: Date = Date()) throws -> String {
    try SecretFile(path: certs.joinTokens, kind: .joinToken).create(name, lifetime: lifetime, now: now)
  }
}

extension WorkerListener.Configuration {
  static func secure(_ controller: SecurityFixture.Controller) -> WorkerListener.Configuration {
    .test {
      $0.security = controller.security
      $0.pingInterval = .milliseconds(100)
    }
  }
}

extension ControllerConnection.Configuration {
  static func secure(
    port: Int, _ security: ConnectionSecurity,
    _ change: (inout ControllerConnection.Configuration) -> Void = { _ in }
  ) -> ControllerConnection.Configuration {
    .test(port: port) {
      $0.security = security
      // One attempt is what a test looks at.
      $0.backoff.initial = .seconds(5)
      change(&$0)
    }
  }
}

extension ListenerLog {
  /// What the first worker is known by.
  func introduction() async throws -> WorkerIntroduction {
    try await first("worker") { if case .attached(_, let introduction) = $0 { introduction } else { nil } }
  }

  var attachments: Int { all.count { if case .attached = $0 { true } else { false } } }
  var detachments: Int { all.count { if case .detached = $0 { true } else { false } } }
}
