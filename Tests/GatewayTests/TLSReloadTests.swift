import Credentials
import Foundation
import Logging
import NIOSSL
import NetworkTesting
import Testing

/// HTTPS, with certificates that change while it is used.
@Suite(.serialized) struct TLSReloadTests {
  private let folder = FileManager.default.temporaryDirectory.appending(path: "wanspec-\(UUID().uuidString)")
    .path
  private let certs: CertificateDirectory
  private let tls: ReloadingServerTLS

  init() throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    certs = CertificateDirectory(folder)
    try certs.initialize()
    _ = try certs.issue(.controller, "main", hosts: [try SubjectHost("127.0.0.1")])
    tls = try ReloadingServerTLS(
      certificate: certs.certificate("main"), key: certs.key("main"), applicationProtocols: ["http/1.1"],
      // The test says when the files are looked at.
      interval: .seconds(3600), log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  private func run(_ body: (TestServer, HTTPClient) async throws -> Void) async throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.certificateVerification = .none
    configuration.applicationProtocols = ["http/1.1"]
    let context = try NIOSSLContext(configuration: configuration)
    try await TestServer.run({ [tls] in $0.tlsContext = { tls.context } }) { server async throws in
      var client = server.client
      client.tls = context
      try await body(server, client)
    }
  }

  @Test func renewedUnderLoadNothingFails() async throws {
    try await run { server, client async throws in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<4 {
          group.addTask {
            for _ in 0..<40 {
              let reply = try await client.get("/v1/models")
              #expect(reply.status == 200)
            }
          }
        }
        // A stream that outlives all the certificates.
        group.addTask {
          let body = #"{"prompt":"One, two,","max_tokens":200,"ignore_eos":true,"stream":true}"#
          let reply = try await client.post("/v1/completions", body)
          #expect(reply.text.hasSuffix("data: [DONE]\n\n"), "\(reply.text.suffix(200))")
        }
        for _ in 0..<8 {
          let renewed = try certs.renew("main", newKey: true)
          #expect(tls.check())
          let seen = try await handshake(port: server.port) { $0.applicationProtocols = ["http/1.1"] }
          let identity = try CertificateIdentity(der: try #require(seen.certificate))
          #expect(identity.keyFingerprint.description == renewed.identity.keyFingerprint.description)
          #expect(seen.negotiated == "http/1.1")
        }
        try await group.waitForAll()
      }
      #expect(await TestServer.wait { server.metrics.connections == 0 })
    }
  }

  /// Who wants to speak something else is told so in the handshake; who says nothing speaks HTTP/1.1.
  @Test func anotherProtocolIsRefused() async throws {
    try await run { server, _ async throws in
      for offered in [["h2"], ["postgresql", "ftp"]] {
        let error = await #expect(throws: (any Error).self) {
          try await handshake(port: server.port) { $0.applicationProtocols = offered }
        }
        #expect(
          error.map { "\($0)" }?.uppercased().contains("NO_APPLICATION_PROTOCOL") == true,
          "\(String(describing: error))")
      }
      for (offered, expected) in [([], nil), (["h2", "http/1.1"], "http/1.1")] {
        let seen = try await handshake(port: server.port) { $0.applicationProtocols = offered }
        #expect(seen.negotiated == expected)
      }
    }
  }
}
