import Credentials
import Foundation
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import NetworkTesting
import Testing

/// A server that makes its TLS context once, as Hummingbird's does.
struct ServerTLSTests {
  let folder: Folder
  let certs: CertificateDirectory

  init() throws {
    folder = try Folder()
    certs = CertificateDirectory(folder.path)
    try certs.initialize()
    _ = try certs.issue(.controller, "main", hosts: [try SubjectHost("127.0.0.1")])
  }

  private func tls(_ log: Logger = quiet) throws -> ReloadingServerTLS {
    try ReloadingServerTLS(
      certificate: certs.certificate("main"), key: certs.key("main"), applicationProtocols: ["http/1.1"],
      interval: never, log: log)
  }

  private func serving(_ context: NIOSSLContext, _ body: (Int) async throws -> Void) async throws {
    let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
        }
      }.bind(host: "127.0.0.1", port: 0).get()
    do {
      try await body(try #require(server.localAddress?.port))
    } catch {
      try await server.close()
      throw error
    }
    try await server.close()
  }

  @Test func aRenewedCertificateIsUsedWithoutARestart() async throws {
    let log = LogLines()
    let tls = try tls(log.logger)
    try await serving(try NIOSSLContext(configuration: tls.configuration)) { port in
      let before = try await handshake(port: port) { $0.applicationProtocols = ["http/1.1"] }
      #expect(before.negotiated == "http/1.1")
      let renewed = try certs.renew("main", lifetime: 30 * 86_400, newKey: true)
      #expect(tls.check())
      #expect(tls.notAfter == renewed.identity.notAfter)
      let after = try #require(try await handshake(port: port).certificate)
      let identity = try CertificateIdentity(der: after)
      #expect(identity.keyFingerprint.description == renewed.identity.keyFingerprint.description)
      // A certificate without its key, as when the two are being copied: the old pair stays.
      try folder.write(try folder.text("ca.pem"), to: "main.pem")
      #expect(!tls.check())
      #expect(try await handshake(port: port).certificate == after)
      #expect(log.all.contains { $0.contains("is not the key of") })
      #expect(!log.all.contains { $0.contains("PRIVATE") })
      await #expect(throws: (any Error).self) {
        try await handshake(port: port) { $0.maximumTLSVersion = .tlsv12 }
      }
    }
  }

  @Test func whatCannotBeUsedIsSaidAtTheStart() throws {
    try folder.write(
      "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", to: "e.key")
    try folder.write("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n", to: "b.key")
    for (certificate, key, problem) in [
      ("none.pem", "main.key", "No such file"), ("main.pem", "none.key", "No such file"),
      ("main.pem", "ca.key", "is not the key of"), ("main.pem", "e.key", "is encrypted"),
      ("main.pem", "b.key", "no private key that can be read"), ("main.key", "main.key", "no certificate"),
    ] {
      let error = #expect(throws: CredentialsError.self) {
        try ReloadingServerTLS(
          certificate: folder.file(certificate), key: folder.file(key), applicationProtocols: [], log: quiet)
      }
      #expect(error?.message.contains(problem) == true, "\(String(describing: error))")
      #expect(error.map { "\($0)".contains("c2VjcmV0") } == false)
    }
  }

  @Test func anExpiredOrExposedPairIsWarnedAbout() throws {
    _ = try certs.renew("main", lifetime: 86_400, now: Date(timeIntervalSinceNow: -10 * 86_400))
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: certs.key("main"))
    let log = LogLines()
    _ = try tls(log.logger)
    #expect(log.all.contains { $0.hasPrefix("error") && $0.contains("expired on") })
    #expect(log.all.contains { $0.hasPrefix("warning") && $0.contains("chmod 600") })
  }
}
