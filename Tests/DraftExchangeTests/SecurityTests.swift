import Credentials
import DraftExchange
import Foundation
import GRPCCore
import NIOSSL
import NetworkTesting
import SpeculationCore
import SplitMix
import Testing

extension ExchangeTests {
  /// Real sockets, real certificates.
  @Suite struct SecurityTests {
    @Test func theRightPairWorks() async throws {
      let fixture = try SecurityFixture()
      let controller = try fixture.controller()
      try await withListener(.secure(controller)) { listener, log, port in
        try await withWorker(.secure(port: port, try fixture.worker())) { worker, workerLog in
          _ = try await workerLog.welcome()
          let id = try await log.attachedWorker()
          let introduction = try await log.introduction()
          // The certificate's name and site count, whatever the hello says ("worker", "lab").
          #expect(introduction.name == "w1")
          #expect(introduction.site == "attic")
          #expect(introduction.identity?.method == .certificate)
          _ = try await log.roundTrips(atLeast: 3)
          listener.send(.close(SessionID(7)), to: id)
          worker.send(.expansion(SessionID(7), .test()))
          _ = try await workerLog.first("message") { event -> Bool? in
            if case .message(.close(SessionID(7))) = event { true } else { nil }
          }
          try await eventually("expansion") { log.messages.count == 1 }
          // Both ends count the same bytes, those of TLS included.
          try await eventually("equal counts") {
            let (here, there) = (listener.traffic(of: id), worker.totalTraffic)
            return here.received > 1000 && here.received == there.sent && here.sent == there.received
          }
        }
      }
    }

    @Test func aControllerIsFoundByName() async throws {
      let fixture = try SecurityFixture(controllerHosts: ["localhost", "main.example"])
      let controller = try fixture.controller()
      try await withListener(.secure(controller)) { _, log, port in
        for (host, name) in [("localhost", nil), ("127.0.0.1", "main.example")] as [(String, String?)] {
          let worker = ControllerConnection.Configuration.secure(
            port: port, try fixture.worker(serverName: name)
          ) { $0.host = host }
          try await withWorker(worker) { _, workerLog in _ = try await workerLog.welcome() }
        }
        #expect(log.attachments == 2)
      }
    }

    /// What is wrong, and the words in which the worker and the controller are told.
    enum Fault: CaseIterable {
      case untrustedController, untrustedWorker, expiredWorker, futureWorker, expiredController
      case futureController, noCertificate, controllerAsWorker, workerAsController, otherHost, otherName
      case notOnList, plaintextWorker

      var workerIsTold: String {
        switch self {
        case .untrustedController, .expiredController, .futureController, .workerAsController:
          "certificate is not valid here"
        case .untrustedWorker: "does not trust the issuer"
        case .expiredWorker, .futureWorker: "not in date by its clock"
        case .noCertificate: "wants a certificate and none was presented"
        case .controllerAsWorker: "is for another role"
        case .otherHost, .otherName: "for another host name"
        case .notOnList: "not on the list of allowed workers"
        case .plaintextWorker: "that port wants TLS"
        }
      }

      /// nil where it only sees that the worker goes away.
      var controllerIsTold: String? {
        switch self {
        case .untrustedController, .expiredController, .futureController, .workerAsController:
          "the other side"
        case .untrustedWorker, .expiredWorker, .futureWorker, .controllerAsWorker:
          "certificate is not valid here"
        case .noCertificate: "presented no certificate"
        case .otherHost, .otherName: nil
        case .notOnList: "not on the list of allowed workers"
        case .plaintextWorker: "without TLS, which this port wants"
        }
      }
    }

    @Test(arguments: Fault.allCases)
    func whatIsWrongIsRefusedAndSaid(fault: Fault) async throws {
      let fixture = try SecurityFixture(controllerHosts: fault == .otherHost ? ["10.1.2.3"] : ["127.0.0.1"])
      let other = try SecurityFixture()
      let certs = fixture.certs
      let (past, future) = (Date(timeIntervalSinceNow: -200 * 86_400), Date(timeIntervalSinceNow: 86_400))
      let here = [try SubjectHost("127.0.0.1")]
      var controller = try fixture.controller()
      var worker = try fixture.worker()
      switch fault {
      case .untrustedController: worker = try fixture.worker(authority: other.certs.authority)
      case .untrustedWorker: worker = try other.worker(authority: certs.authority)
      case .expiredWorker, .futureWorker:
        _ = try certs.issue(.worker, "w2", now: fault == .expiredWorker ? past : future)
        worker = try fixture.worker("w2")
      case .expiredController, .futureController:
        _ = try certs.issue(.controller, "c2", hosts: here, now: fault == .expiredController ? past : future)
        controller = try fixture.controller(named: "c2")
      case .noCertificate: worker = try fixture.worker(nil)
      case .controllerAsWorker: worker = try fixture.worker("main")
      case .workerAsController:
        // With the host in it: its role alone must be what is wrong.
        _ = try certs.issue(.worker, "w2", hosts: here)
        controller = try fixture.controller(named: "w2")
      case .otherHost: break
      case .otherName: worker = try fixture.worker(serverName: "elsewhere.example")
      case .notOnList: try certs.revoke("w1")
      case .plaintextWorker: worker = .plaintext
      }
      try await withListener(.secure(try refreshed(controller))) { [worker] _, log, port in
        try await withWorker(.secure(port: port, worker)) { _, workerLog in
          let told = try await workerLog.disconnection()
          #expect(told.contains(fault.workerIsTold), "\(fault): worker: \(told)")
          if let expected = fault.controllerIsTold {
            let refusal = try await log.refusal()
            #expect(refusal.contains(expected), "\(fault): controller: \(refusal)")
          }
          #expect(log.attachments == 0)
        }
      }
    }

    /// As after a second.
    private func refreshed(_ controller: SecurityFixture.Controller) throws -> SecurityFixture.Controller {
      controller.gate.check()
      controller.tls.check()
      return controller
    }

    @Test func aTLSWorkerIsNoGuestOfAPlaintextController() async throws {
      let fixture = try SecurityFixture()
      try await withListener { _, log, port in
        try await withWorker(.secure(port: port, try fixture.worker())) { _, workerLog in
          let told = try await workerLog.disconnection()
          #expect(told.contains("does not speak TLS"), "\(told)")
        }
        let refusal = try await log.refusal()
        #expect(refusal.contains("spoke TLS, and this port has none"), "\(refusal)")
        #expect(log.attachments == 0)
      }
    }

    @Test func olderVersionsOfTLSAreRefused() async throws {
      let fixture = try SecurityFixture()
      let controller = try fixture.controller(
        certificates: false, tokens: try !fixture.makeToken("t").isEmpty)
      try await withListener(.secure(controller)) { _, log, port in
        await #expect(throws: (any Error).self) {
          try await handshake(port: port) { $0.maximumTLSVersion = .tlsv12 }
        }
        let refusal = try await log.refusal()
        #expect(refusal.contains("TLS 1.3"), "\(refusal)")
        let modern = try await handshake(port: port) { $0.minimumTLSVersion = .tlsv13 }
        #expect(modern.negotiated == "h2")
      }
    }

    @Test func aRevokedWorkerIsEndedAndStaysOut() async throws {
      let fixture = try SecurityFixture()
      let controller = try fixture.controller()
      try await withListener(.secure(controller)) { _, log, port in
        let worker = ControllerConnection.Configuration.secure(port: port, try fixture.worker()) {
          $0.backoff.initial = .milliseconds(50)
        }
        try await withWorker(worker) { _, workerLog in
          _ = try await workerLog.welcome()
          let id = try await log.attachedWorker()
          try fixture.certs.revoke("w1")
          let reason = try await log.detachReason(of: id)
          #expect(reason.contains("w1 was revoked"), "\(reason)")
          let told = try await workerLog.disconnection()
          #expect(told.contains("w1 was revoked"), "\(told)")
          // It dials again and is told again.
          let refusal = try await log.refusal()
          #expect(refusal.contains("w1 was revoked"), "\(refusal)")
          #expect(log.attachments == 1)
          // A new certificate of the same name has another key. The stolen one stays out.
          _ = try fixture.certs.issue(.worker, "w1", force: true)
          controller.gate.check()
          let old = log.all.count
          try await eventually("another refusal") { log.all.count > old }
          #expect(log.attachments == 1)
          try await withWorker(.secure(port: port, try fixture.worker())) { _, newLog in
            _ = try await newLog.welcome()
          }
        }
      }
    }

    @Test func aRenewedControllerCertificateIsUsedWithoutDroppingAnybody() async throws {
      let fixture = try SecurityFixture()
      let controller = try fixture.controller(
        certificates: true, tokens: try !fixture.makeToken("t").isEmpty)
      try await withListener(.secure(controller)) { _, log, port in
        try await withWorker(.secure(port: port, try fixture.worker())) { _, workerLog in
          _ = try await workerLog.welcome()
          let before = try await handshake(port: port).certificate
          let renewed = try fixture.certs.renew("main", newKey: true)
          try await eventually("reload") {
            controller.tls.check() || controller.tls.notAfter == renewed.identity.notAfter
          }
          let after = try await handshake(port: port).certificate
          #expect(after != before)
          #expect(
            try CertificateIdentity(der: try #require(after)).certificateFingerprint.description
              == renewed.identity.certificateFingerprint.description)
          // Files that make no sense change nothing.
          try Data("no certificate".utf8).write(to: URL(filePath: fixture.certs.certificate("main")))
          #expect(!controller.tls.check())
          #expect(try await handshake(port: port).certificate == after)
          // The worker noticed none of it.
          let trips = try await log.roundTrips(atLeast: 1).count
          _ = try await log.roundTrips(atLeast: trips + 3)
          #expect(log.detachments == 0)
          #expect(log.attachments == 1)
        }
      }
    }

    @Test func aRenewedWorkerCertificateIsUsedAtTheNextConnection() async throws {
      let fixture = try SecurityFixture()
      let controller = try fixture.controller()
      let tls = try ReloadingClientTLS(
        authorities: fixture.certs.authority,
        identity: (fixture.certs.certificate("w1"), fixture.certs.key("w1")), applicationProtocols: ["h2"],
        log: fixture.log)
      try await withListener(.secure(controller)) { _, log, port in
        let security = ConnectionSecurity.tls(
          ClientTLS(
            context: { tls.context }, isCertificate: { CertificateHosts.certificate($0, isFor: $1) }))
        let configuration = ControllerConnection.Configuration.secure(port: port, security) {
          $0.backoff.initial = .milliseconds(50)
        }
        try await withWorker(configuration) { worker, workerLog in
          _ = try await workerLog.welcome()
          let first = try await log.introduction().identity
          let renewed = try fixture.certs.renew("w1", lifetime: 30 * 86_400)
          #expect(tls.check())
          // With the same key it is still on the list: nobody is dropped.
          controller.gate.check()
          worker.reconnect(reason: "test")
          _ = try await log.attachedWorker(number: 2)
          let identities = log.all.compactMap {
            if case .attached(_, let introduction) = $0 { introduction.identity } else { nil }
          }
          #expect(identities.last?.fingerprint == first?.fingerprint)
          #expect(identities.last?.expires == renewed.identity.notAfter)
        }
      }
    }

    @Test func joinTokensLetWorkersIn() async throws {
      let fixture = try SecurityFixture()
      let token = try fixture.makeToken("lab")
      let expired = try fixture.makeToken("old", lifetime: 60, now: Date(timeIntervalSinceNow: -3600))
      let controller = try fixture.controller(certificates: false, tokens: true)
      try await withListener(.secure(controller)) { _, log, port in
        for (shown, told) in [
          (nil, "wants a join token"), ("wsj_wrong", "unknown or was revoked"), (expired, "old expired on"),
          ("with blank", "holds blanks"), (String(repeating: "x", count: 600), "holds blanks"),
        ] as [(String?, String)] {
          let worker = ControllerConnection.Configuration.secure(
            port: port, try fixture.worker(nil, token: shown))
          try await withWorker(worker) { _, workerLog in
            let reason = try await workerLog.disconnection()
            #expect(reason.contains(told), "\(reason)")
            #expect(!reason.contains(shown ?? "wsj_"))
          }
        }
        #expect(log.attachments == 0)
        #expect(!"\(log.all)".contains(expired))
        try await withWorker(.secure(port: port, try fixture.worker(nil, token: token))) { _, workerLog in
          _ = try await workerLog.welcome()
          let introduction = try await log.introduction()
          #expect(introduction.name == "lab/worker")
          #expect(introduction.site == "lab")
          #expect(introduction.identity?.method == .token)
          let id = try await log.attachedWorker()
          try SecretFile(path: fixture.certs.joinTokens, kind: .joinToken).revoke("lab")
          let reason = try await log.detachReason(of: id)
          #expect(reason.contains("lab expired or was revoked"), "\(reason)")
          let told = try await workerLog.disconnection()
          #expect(told.contains("lab expired or was revoked"), "\(told)")
        }
      }
    }

    @Test func aTokenStandsInForACertificateWhereBothAreAllowed() async throws {
      let fixture = try SecurityFixture()
      let token = try fixture.makeToken("lab")
      let controller = try fixture.controller(certificates: true, tokens: true)
      let other = try SecurityFixture()
      try await withListener(.secure(controller)) { _, log, port in
        try await withWorker(.secure(port: port, try fixture.worker())) { _, workerLog in
          _ = try await workerLog.welcome()
        }
        try await withWorker(.secure(port: port, try fixture.worker(nil, token: token))) { _, workerLog in
          _ = try await workerLog.welcome()
        }
        #expect(log.attachments == 2)
        // A certificate that is presented has to be a good one even then.
        let foreign = try other.worker(token: token, authority: fixture.certs.authority)
        try await withWorker(.secure(port: port, foreign)) { _, workerLog in
          let reason = try await workerLog.disconnection()
          #expect(reason.contains("does not trust the issuer"), "\(reason)")
        }
        try await withWorker(.secure(port: port, try fixture.worker(nil))) { _, workerLog in
          let reason = try await workerLog.disconnection()
          #expect(reason.contains("wants a worker certificate or a join token"), "\(reason)")
        }
        #expect(log.attachments == 2)
      }
    }

    @Test func aTokenOverPlaintextIsRefusedAndSaid() async throws {
      try await withListener { _, log, port in
        let hello = try Wanspec_V1_WorkerFrame.hello().serializedBytes() as [UInt8]
        let error = try await attachRaw(
          port: port, [hello], metadata: ["authorization": "Bearer wsj_secret"])
        #expect(error?.code == .unauthenticated)
        #expect(error?.message.contains("unencrypted") == true)
        let refusal = try await log.refusal()
        #expect(refusal.contains("revoke it") && !refusal.contains("wsj_secret"), "\(refusal)")
        let odd = try await attachRaw(port: port, [hello], metadata: ["authorization": "Basic abc"])
        #expect(odd?.code == .unauthenticated)
      }
    }

    @Test func aFrozenWorkerIsNoticedUnderTLS() async throws {
      let fixture = try SecurityFixture()
      let controller = try fixture.controller()
      var configuration = WorkerListener.Configuration.secure(controller)
      configuration.livenessTimeout = .milliseconds(1500)
      try await withListener(configuration) { _, log, port in
        let proxy = try await FreezableProxy.start(to: port)
        let worker = ControllerConnection.Configuration.secure(port: proxy.port, try fixture.worker()) {
          $0.controllerSilenceTimeout = .seconds(60)
        }
        try await withWorker(worker) { _, workerLog in
          _ = try await workerLog.welcome()
          let id = try await log.attachedWorker()
          _ = try await log.roundTrips(atLeast: 20)
          #expect(log.detachments == 0, "pings keep it alive")
          try await proxy.freeze()
          let reason = try await log.detachReason(of: id)
          #expect(reason.contains("sent nothing for 1.5 s"), "\(reason)")
        }
        try await proxy.stop()
      }
    }

    @Test func hostileBytesHarmNobody() async throws {
      let fixture = try SecurityFixture()
      let controller = try fixture.controller()
      var generator = SplitMix64(seed: 20_261_125)
      // A handshake record's header, then nonsense; a record of the largest size that never comes; HTTP.
      var inputs: [[UInt8]] = [
        [0x16, 0x03, 0x01, 0x02, 0x00, 0x01],
        [0x16, 0x03, 0x03, 0xFF, 0xFF] + [UInt8](repeating: 0, count: 9000),
        Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8), Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8),
      ]
      for _ in 0..<60 {
        let length = Int.random(in: 1...2000, using: &generator)
        inputs.append((0..<length).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
      }
      var configuration = WorkerListener.Configuration.secure(controller)
      configuration.limits.handshakeTimeout = .milliseconds(500)
      try await withListener(configuration) { [inputs] _, log, port in
        try await withWorker(.secure(port: port, try fixture.worker())) { _, workerLog in
          _ = try await workerLog.welcome()
          await withTaskGroup(of: Void.self) { tasks in
            for input in inputs { tasks.addTask { _ = try? await sendRaw(input, toPort: port) } }
          }
          let trips = try await log.roundTrips(atLeast: 1).count
          _ = try await log.roundTrips(atLeast: trips + 2)
          #expect(log.detachments == 0)
          #expect(log.attachments == 1)
        }
      }
    }
  }
}
