import Credentials
import DraftExchange
import Foundation
import Serving
import Testing

extension ExchangeTests {
  /// The rotation of docs/security.md, step by step, while a worker of the old authority is attached.
  @Suite struct AuthorityRotationTests {
    /// What one machine has: copies, as an operator makes them.
    private struct Machine {
      let folder: URL

      init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "wanspec-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      }

      func path(_ name: String) -> String { folder.appending(path: name).path }

      func copy(_ names: [String], from source: CertificateDirectory) throws {
        for name in names {
          try Data(contentsOf: URL(filePath: "\(source.path)/\(name)")).write(
            to: folder.appending(path: name), options: .atomic)
        }
      }

      func append(_ name: String, from source: CertificateDirectory) throws {
        let both =
          try Data(contentsOf: folder.appending(path: name))
          + Data(contentsOf: URL(filePath: "\(source.path)/\(name)"))
        try both.write(to: folder.appending(path: name), options: .atomic)
      }
    }

    @Test func workersOfBothAuthoritiesAreServedInBetween() async throws {
      let old = try SecurityFixture()
      let new = try SecurityFixture()
      let (site, center) = (try Machine(), try Machine())
      defer { for machine in [site, center] { try? FileManager.default.removeItem(at: machine.folder) } }
      try center.copy(["ca.pem", "main.pem", "main.key", "allowed-workers"], from: old.certs)
      try site.copy(["ca.pem", "w1.pem", "w1.key"], from: old.certs)

      let controller = try Self.controller(center, old)
      let tls = try ReloadingClientTLS(
        authorities: site.path("ca.pem"), identity: (site.path("w1.pem"), site.path("w1.key")),
        applicationProtocols: ["h2"], log: old.log)
      try await withListener(.secure(controller)) { _, log, port in
        let security = ConnectionSecurity.tls(
          ClientTLS(
            context: { tls.context }, isCertificate: { CertificateHosts.certificate($0, isFor: $1) }))
        let configuration = ControllerConnection.Configuration.secure(port: port, security) {
          $0.backoff.initial = .milliseconds(50)
        }
        try await withWorker(configuration) { worker, workerLog in
          _ = try await workerLog.welcome()
          func reload() {
            _ = tls.check()
            _ = controller.tls.check()
            controller.gate.check()
          }
          var attachments = 1
          func redial() async throws -> String? {
            reload()
            #expect(log.detachments == attachments - 1, "nobody is dropped by a file that is replaced")
            worker.reconnect(reason: "test")
            attachments += 1
            _ = try await log.attachedWorker(number: attachments)
            return log.all.compactMap {
              if case .attached(_, let introduction) = $0 { introduction.identity?.fingerprint } else { nil }
            }.last
          }
          let first = try await log.introduction().identity?.fingerprint

          // Both authorities are trusted everywhere.
          for machine in [site, center] { try machine.append("ca.pem", from: new.certs) }
          try center.append("allowed-workers", from: new.certs)
          #expect(try await redial() == first)
          // The controller changes first, then the worker.
          try center.copy(["main.pem", "main.key"], from: new.certs)
          #expect(try await redial() == first)
          try site.copy(["w1.pem", "w1.key"], from: new.certs)
          let second = try await redial()
          #expect(second != first)
          // The old authority goes.
          for machine in [site, center] { try machine.copy(["ca.pem"], from: new.certs) }
          try center.copy(["allowed-workers"], from: new.certs)
          #expect(try await redial() == second)
        }
        // Who has slept through it is told why, on both sides.
        let late = ControllerConnection.Configuration.secure(port: port, try old.worker())
        try await withWorker(late) { _, workerLog in
          let reason = try await workerLog.disconnection()
          #expect(reason.contains("certificate"), "\(reason)")
        }
        let stranger = ControllerConnection.Configuration.secure(
          port: port, try old.worker(authority: new.certs.authority))
        try await withWorker(stranger) { _, workerLog in
          let reason = try await workerLog.disconnection()
          #expect(reason.contains("certificate"), "\(reason)")
          #expect(try await !log.refusal().isEmpty)
        }
      }
    }

    /// Nobody meets a certificate that is half renewed, however many dial.
    @Test func certificatesAreRenewedWhileWorkersDial() async throws {
      let fixture = try SecurityFixture()
      let controller = try fixture.controller()
      try await withListener(.secure(controller)) { _, log, port in
        let renewing = Task {
          var count = 0
          while !Task.isCancelled {
            _ = try fixture.certs.renew("main", newKey: count % 2 == 0)
            _ = try fixture.certs.renew("w1")
            count += 1
            try? await Task.sleep(for: .milliseconds(5))
          }
          return count
        }
        try await withThrowingTaskGroup(of: Void.self) { workers in
          for _ in 0..<8 {
            workers.addTask {
              for _ in 0..<8 {
                try await withWorker(.secure(port: port, try fixture.worker())) { _, workerLog in
                  _ = try await workerLog.welcome()
                }
              }
            }
          }
          try await workers.waitForAll()
        }
        renewing.cancel()
        #expect(try await renewing.value > 10)
        #expect(log.attachments == 64)
        #expect(!log.all.contains { if case .refused = $0 { true } else { false } })
      }
    }

    private static func controller(
      _ machine: Machine, _ fixture: SecurityFixture
    ) throws -> SecurityFixture.Controller {
      let tls = try ReloadingServerTLS(
        certificate: machine.path("main.pem"), key: machine.path("main.key"),
        clients: .required(authorities: machine.path("ca.pem")), applicationProtocols: ["h2"],
        interval: .milliseconds(50), log: fixture.log)
      let gate = try WorkerGate(
        certificates: true, allowedWorkers: machine.path("allowed-workers"), joinTokens: nil,
        interval: .milliseconds(50), log: fixture.log)
      return SecurityFixture.Controller(
        security: .tls(
          ServerTLS(context: { tls.context }, authenticator: gate, recheckInterval: .milliseconds(50))),
        tls: tls, gate: gate)
    }
  }
}
