import Credentials
import Foundation
import SplitMix
import Testing

struct CertificateTests {
  let folder: Folder
  let certs: CertificateDirectory

  init() throws {
    folder = try Folder()
    certs = CertificateDirectory(folder.path)
    try certs.initialize()
  }

  @Test func keysAreForTheirOwnerOnly() throws {
    _ = try certs.issue(.worker, "w1")
    #expect(try folder.mode("ca.key") == 0o600)
    #expect(try folder.mode("w1.key") == 0o600)
    #expect(try folder.mode("ca.pem") == 0o644)
    #expect(certs.exposures().isEmpty)
    try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: folder.file("w1.key"))
    #expect(certs.exposures().count == 1)
    #expect(certs.exposures().first?.contains("chmod 600") == true)
  }

  @Test func aCertificateSaysItsRoleNameAndSite() throws {
    let now = Date()
    let worker = try certs.issue(.worker, "w1", site: "attic", now: now)
    #expect(worker.identity.role == .worker)
    #expect(worker.identity.name == "w1")
    #expect(worker.identity.site == "attic")
    #expect(!worker.isRevoked)
    // Certificates have whole seconds.
    #expect((89...90).contains(worker.daysLeft(at: now)))
    let controller = try certs.issue(.controller, "main", hosts: [try SubjectHost("::1")])
    #expect(controller.identity.role == .controller)
    #expect(try certs.records().map(\.identity.name) == ["main", "w1"])
    #expect(try certs.pair(.controller).name == "main")
    #expect(try certs.pair(.worker).certificate == certs.certificate("w1"))
  }

  @Test func nothingIsOverwrittenUnasked() throws {
    _ = try certs.issue(.worker, "w1")
    let (before, key) = (try folder.text("w1.pem"), try folder.text("ca.key"))
    #expect(throws: CredentialsError.self) { try certs.issue(.worker, "w1") }
    #expect(throws: CredentialsError.self) { try certs.initialize() }
    #expect(throws: CredentialsError.self) { try certs.issue(.worker, "ca") }
    #expect(try folder.text("w1.pem") == before)
    #expect(try folder.text("ca.key") == key)
    _ = try certs.issue(.worker, "w1", force: true)
    #expect(try folder.text("w1.pem") != before)
    try certs.initialize(force: true)
    #expect(try folder.text("ca.key") != key)
    #expect(try certs.records().allSatisfy(\.isRevoked), "a new authority allows nobody of the old one")
  }

  @Test func renewingKeepsTheNamesAndTheKey() throws {
    let past = Date(timeIntervalSinceNow: -80 * 86_400)
    let old = try certs.issue(.worker, "w1", site: "attic", now: past)
    let renewed = try certs.renew("w1")
    #expect(renewed.identity.keyFingerprint.description == old.identity.keyFingerprint.description)
    #expect(renewed.identity.site == "attic")
    #expect((89...90).contains(renewed.daysLeft()))
    #expect(!renewed.isRevoked)
    let rekeyed = try certs.renew("w1", lifetime: 86_400, newKey: true)
    #expect(rekeyed.identity.keyFingerprint.description != old.identity.keyFingerprint.description)
    #expect(!rekeyed.isRevoked)
    // Both keys count until the worker has the new one.
    let list = try AllowedWorkers.read(certs.allowedWorkers)
    #expect(list.allows(name: "w1", key: old.identity.keyFingerprint))
    #expect(list.allows(name: "w1", key: rekeyed.identity.keyFingerprint))
    #expect(!list.allows(name: "w2", key: rekeyed.identity.keyFingerprint))
    _ = try certs.renew("w1", newKey: true)
    #expect(
      try !AllowedWorkers.read(certs.allowedWorkers).allows(name: "w1", key: old.identity.keyFingerprint))
  }

  @Test func revokingIsTakingOffTheList() throws {
    let first = try certs.issue(.worker, "w1")
    _ = try certs.issue(.worker, "w2")
    try certs.revoke("w1")
    #expect(try certs.record("w1").isRevoked)
    #expect(try !certs.record("w2").isRevoked)
    #expect(throws: CredentialsError.self) { try certs.revoke("w1") }
    #expect(throws: CredentialsError.self) { try certs.renew("w1") }
    let again = try certs.issue(.worker, "w1", force: true)
    #expect(!again.isRevoked)
    // The stolen key stays out.
    let list = try AllowedWorkers.read(certs.allowedWorkers)
    #expect(!list.allows(name: "w1", key: first.identity.keyFingerprint))
  }

  @Test func aLeafOutlivesNoAuthority() throws {
    try certs.initialize(lifetime: 10 * 86_400, force: true)
    #expect(try certs.issue(.worker, "w1").daysLeft() <= 10)
    let later = Date(timeIntervalSinceNow: 11 * 86_400)
    let error = #expect(throws: CredentialsError.self) { try certs.issue(.worker, "w2", now: later) }
    #expect(error?.message.contains("authority expired") == true)
  }

  @Test func brokenFilesAreNamed() throws {
    _ = try certs.issue(.worker, "w1")
    try folder.write("no certificate", to: "w1.pem")
    #expect(throws: CredentialsError.self) { try certs.records() }
    try folder.write(try folder.text("ca.pem").replacing("MI", with: "AA"), to: "w1.pem")
    #expect(throws: CredentialsError.self) { try certs.record("w1") }
    // The authority's own certificate says no role.
    try folder.write(try folder.text("ca.pem"), to: "w1.pem")
    let role = #expect(throws: CredentialsError.self) { try certs.record("w1") }
    #expect(role?.message.contains("says no role") == true)
    try folder.write(try folder.text("w1.key"), to: "ca.key")
    let key = #expect(throws: CredentialsError.self) { try certs.issue(.worker, "w2") }
    #expect(key?.message.contains("is not the key of") == true)
    let empty = CertificateDirectory(folder.file("nowhere"))
    #expect(throws: CredentialsError.self) { try empty.records() }
    #expect(throws: CredentialsError.self) { try empty.issue(.worker, "w1") }
    #expect(throws: CredentialsError.self) { try empty.pair(.worker) }
  }

  @Test func severalPairsNeedAName() throws {
    _ = try certs.issue(.worker, "w1")
    _ = try certs.issue(.worker, "w2")
    let several = #expect(throws: CredentialsError.self) { try certs.pair(.worker) }
    #expect(several?.message.contains("w1, w2") == true)
    #expect(try certs.pair(.worker, named: "w2").name == "w2")
    #expect(throws: CredentialsError.self) { try certs.pair(.worker, named: "w3") }
    #expect(throws: CredentialsError.self) { try certs.pair(.controller) }
  }

  @Test(arguments: [
    "localhost", "a.b-c.example", "*.example.org", "10.0.0.1", "::1", "[2001:db8::7]",
    "xn--bcher-kva.example",
  ])
  func hostsAreTaken(text: String) throws { _ = try SubjectHost(text) }

  @Test(arguments: [
    "", " ", "a b", "-a.example", "a..b", "*.org", "*", "bücher.example", "host:7070", "a/b",
    String(repeating: "a", count: 64),
  ])
  func wrongHostsAreRefused(text: String) {
    #expect(throws: CredentialsError.self) { try SubjectHost(text) }
  }

  @Test func hostNamesMatchByLabel() throws {
    _ = try certs.issue(
      .controller, "main",
      hosts: ["a.example", "*.b.example", "10.0.0.1"].map { try SubjectHost($0) })
    let lines = try folder.text("main.pem").split(separator: "\n").dropFirst().dropLast()
    let der = Array(try #require(Data(base64Encoded: lines.joined())))
    for name in ["a.example", "A.Example", "a.example.", "x.b.example"] {
      #expect(CertificateHosts.certificate(der, isFor: name), "\(name)")
    }
    // The common name "main" and the address are no host names.
    for name in [
      "b.example", "x.y.b.example", ".b.example", "example", "main", "10.0.0.1", "", "a.example.org",
    ] {
      #expect(!CertificateHosts.certificate(der, isFor: name), "\(name)")
    }
    #expect(!CertificateHosts.certificate([1, 2], isFor: "a.example"))
  }

  @Test func damagedCertificatesAreRefusedWithoutCrashing() throws {
    _ = try certs.issue(.worker, "w1", site: "attic")
    let lines = try folder.text("w1.pem").split(separator: "\n").dropFirst().dropLast()
    let der = Array(try #require(Data(base64Encoded: lines.joined())))
    #expect(try CertificateIdentity(der: der).name == "w1")
    var generator = SplitMix64(seed: 11)
    for _ in 0..<3000 {
      var damaged = der
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        damaged[Int.random(in: damaged.indices, using: &generator)] = .random(
          in: .min ... .max, using: &generator)
      }
      if Bool.random(using: &generator) {
        damaged.removeLast(Int.random(in: 0..<damaged.count, using: &generator))
      }
      if let identity = try? CertificateIdentity(der: damaged) {
        #expect(identity.name.utf8.count <= CredentialName.maximumLength)
      }
    }
  }
}
