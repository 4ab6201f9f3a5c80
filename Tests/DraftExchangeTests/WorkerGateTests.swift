import Credentials
import DraftExchange
import Foundation
import Serving
import Testing

struct WorkerGateTests {
  let fixture: SecurityFixture

  init() throws { fixture = try SecurityFixture() }

  @Test func theGateAsksForWhatItKnows() throws {
    let (certs, log) = (fixture.certs, fixture.log)
    let worker = try #require(try certs.records().first { $0.identity.name == "w1" })
    func der(_ name: String) throws -> [UInt8] {
      let text = try String(contentsOfFile: "\(certs.path)/\(name)", encoding: .utf8)
      let lines = text.split(separator: "\n").dropFirst().dropLast()
      return Array(try #require(Data(base64Encoded: lines.joined())))
    }
    let tokens = SecretFile(path: certs.joinTokens, kind: .joinToken)
    let token = try tokens.create("lab", lifetime: 3600)
    let gate = try WorkerGate(
      certificates: true, allowedWorkers: certs.allowedWorkers, joinTokens: certs.joinTokens,
      interval: .seconds(3600),
      log: log)
    let identity = try gate.authenticate(
      PresentedCredentials(certificate: der("w1.pem"), token: nil), now: Date())
    #expect(identity.name == "w1" && identity.method == .certificate)
    #expect(identity.expires == worker.identity.notAfter)
    #expect(gate.problem(with: identity) == nil)
    let later = worker.identity.notAfter
    #expect(gate.problem(with: identity, now: later)?.contains("expired") == true)
    #expect(throws: WorkerRefusal.self) {
      try gate.authenticate(PresentedCredentials(certificate: der("w1.pem"), token: nil), now: later)
    }
    let early = #expect(throws: WorkerRefusal.self) {
      try gate.authenticate(
        PresentedCredentials(certificate: der("w1.pem"), token: nil), now: Date(timeIntervalSinceNow: -86_400)
      )
    }
    #expect(early?.description.contains("not valid before") == true)
    let wrong = #expect(throws: WorkerRefusal.self) {
      try gate.authenticate(PresentedCredentials(certificate: der("main.pem"), token: nil), now: Date())
    }
    #expect(wrong?.description.contains("for a controller") == true)
    // A good token helps a bad certificate, as it would help none.
    #expect(
      try gate.authenticate(PresentedCredentials(certificate: der("main.pem"), token: token), now: Date())
        .name == "lab")
    let byToken = try gate.authenticate(PresentedCredentials(certificate: nil, token: token), now: Date())
    #expect(gate.problem(with: byToken) == nil)
    #expect(gate.problem(with: byToken, now: Date(timeIntervalSinceNow: 3601)) != nil)
    #expect(throws: WorkerRefusal.self) {
      try gate.authenticate(PresentedCredentials(certificate: nil, token: nil), now: Date())
    }
    #expect(throws: WorkerRefusal.self) {
      try gate.authenticate(PresentedCredentials(certificate: [1, 2, 3], token: nil), now: Date())
    }
    try certs.revoke("w1")
    try tokens.revoke("lab")
    gate.check()
    #expect(gate.problem(with: identity)?.contains("revoked") == true)
    #expect(gate.problem(with: byToken)?.contains("revoked") == true)
    // A token of the same name is another token.
    _ = try tokens.create("lab")
    gate.check()
    #expect(gate.problem(with: byToken)?.contains("revoked") == true)
  }
}
