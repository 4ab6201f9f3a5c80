import Credentials
import Foundation
import SplitMix
import Testing

struct SecretTests {
  @Test(arguments: [SecretKind.joinToken, .apiKey])
  func aSecretIsMadeFoundAndRevoked(kind: SecretKind) throws {
    let folder = try Folder()
    let file = SecretFile(path: folder.file("secrets"), kind: kind)
    let secret = try file.create("alice")
    let other = try file.create("bob", lifetime: 60)
    #expect(secret.hasPrefix(kind.prefix))
    // 256 bits in Base64.
    #expect(secret.count == kind.prefix.count + 43)
    #expect(secret != other)
    #expect(try folder.mode("secrets") == 0o600)
    let text = try folder.text("secrets")
    #expect(!text.contains(secret) && !text.contains(secret.dropFirst(4)))
    var table = try file.read()
    #expect(table.entry(of: Array(secret.utf8))?.name == "alice")
    #expect(table.entry(of: Array(other.utf8))?.name == "bob")
    #expect(table.entry(of: Array((secret + "x").utf8)) == nil)
    #expect(table.entry(of: Array(secret.dropLast().utf8)) == nil)
    #expect(table.entry(of: [UInt8]()) == nil)
    #expect(table.entries.map { $0.isExpired(at: Date(timeIntervalSinceNow: 3600)) } == [false, true])
    try file.revoke("alice")
    table = try file.read()
    #expect(table.entry(of: Array(secret.utf8)) == nil)
    #expect(table.entry(of: Array(other.utf8))?.name == "bob")
  }

  @Test func namesAreCheckedAndNotTakenTwice() throws {
    let folder = try Folder()
    let file = SecretFile(path: folder.file("secrets"), kind: .apiKey)
    _ = try file.create("alice")
    for name in ["alice", "", "a b", "a\nb", "../x", "-x", ".x", "é", String(repeating: "x", count: 65)] {
      #expect(throws: CredentialsError.self, "\(name)") { try file.create(name) }
    }
    #expect(try file.read().entries.count == 1)
    let missing = #expect(throws: CredentialsError.self) { try file.revoke("bob") }
    #expect(missing?.hint?.contains("alice") == true)
    #expect(throws: CredentialsError.self) {
      try SecretFile(path: folder.file("none"), kind: .apiKey).revoke("alice")
    }
  }

  @Test func whatElseIsInTheFileStays() throws {
    let folder = try Folder()
    let path = try folder.write("# our keys\nplain-key-1\n\nplain-key-2", to: "keys")
    let file = SecretFile(path: path, kind: .apiKey)
    let secret = try file.create("alice")
    try file.revoke(try #require(try file.read().entry(of: Array("plain-key-1".utf8))?.name))
    let text = try folder.text("keys")
    #expect(text.hasPrefix("# our keys\n\nplain-key-2\nalice sha256:"), "\(text)")
    let table = try file.read()
    #expect(table.entry(of: Array("plain-key-1".utf8)) == nil)
    #expect(table.entry(of: Array("plain-key-2".utf8))?.isPlain == true)
    #expect(table.entry(of: Array(secret.utf8))?.isPlain == false)
  }

  @Test func manyWhoEditAtOnceLoseNothing() async throws {
    let folder = try Folder()
    let file = SecretFile(path: folder.file("secrets"), kind: .joinToken)
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      for number in 0..<24 { tasks.addTask { _ = try file.create("worker-\(number)") } }
      try await tasks.waitForAll()
    }
    #expect(Set(try file.read().entries.map(\.name)).count == 24)
  }

  @Test(arguments: [
    ("alice", "line 1"), ("alice sha256:12", "line 1"), ("\n\nalice sha512:00", "line 3"),
    ("alice sha256:\(String(repeating: "0", count: 64)) until=now", "neither created=TIME nor expires=TIME"),
    ("alice sha256:\(String(repeating: "0", count: 64)) expires=soon", "neither"),
    ("a/b sha256:\(String(repeating: "0", count: 64))", "cannot be a name"),
  ])
  func aWrongLineOfTokensIsNamedAndNotQuoted(text: String, problem: String) throws {
    let error = #expect(throws: CredentialsError.self) {
      try SecretTable(text: text, kind: .joinToken, path: "tokens")
    }
    #expect(error?.message.contains(problem) == true, "\(String(describing: error))")
    // A token in the place of an entry is a likely slip.
    let slip = #expect(throws: CredentialsError.self) {
      try SecretTable(text: "wsj_verysecret", kind: .joinToken, path: "tokens")
    }
    #expect(slip.map { "\($0)".contains("verysecret") } == false)
  }

  @Test func randomFilesAreReadOrRefused() {
    var generator = SplitMix64(seed: 7)
    let pieces = [
      "a", "sha256:", "0f", " ", "\n", "#", "=", "expires=", "2026-11-25T04:00:00Z", "\u{0}", "é", "\t",
    ]
    for _ in 0..<5000 {
      let text = (0..<Int.random(in: 0...20, using: &generator))
        .map { _ in pieces.randomElement(using: &generator)! }.joined()
      for kind in [SecretKind.joinToken, .apiKey] {
        if let table = try? SecretTable(text: text, kind: kind, path: "x") {
          #expect(table.entries.count <= 21)
        }
      }
      _ = try? AllowedWorkers(text: text, path: "x")
    }
  }

  @Test func apiKeysFollowTheirFile() throws {
    let folder = try Folder()
    let log = LogLines()
    let path = try folder.write("my-own-key\n", to: "keys")
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
    let keys = try APIKeyFile(path: path, interval: never, log: log.logger)
    #expect(log.all.contains { $0.contains("chmod 600") })
    let name = try #require(keys.name(of: "my-own-key"))
    #expect(name.hasPrefix("key-") && name.count == 12)
    #expect(keys.name(of: "my-own-kez") == nil)
    #expect(keys.name(of: "") == nil)
    #expect(keys.name(of: String(repeating: "x", count: 100_000)) == nil)
    #expect(!keys.check())

    let file = SecretFile(path: path, kind: .apiKey)
    let secret = try file.create("alice", lifetime: 60)
    #expect(keys.name(of: secret) == nil)
    #expect(keys.check())
    #expect(keys.name(of: secret) == "alice")
    #expect(keys.name(of: secret, at: Date(timeIntervalSinceNow: 61)) == nil)
    #expect(keys.count == 2)

    // A broken file and none at all: the old keys stay, and it is said once.
    try folder.write("alice sha256:zz\n", to: "keys")
    #expect(!keys.check())
    #expect(!keys.check())
    #expect(keys.name(of: secret) == "alice")
    try FileManager.default.removeItem(atPath: path)
    #expect(!keys.check())
    #expect(keys.name(of: secret) == "alice")
    #expect(log.all.count { $0.hasPrefix("error") } == 2)

    try folder.write("", to: "keys")
    #expect(keys.check())
    #expect(keys.name(of: secret) == nil)
    #expect(!log.all.contains { $0.contains(secret) || $0.contains("my-own-key") })
  }

  @Test func aChangeIsFoundWithoutBeingAsked() async throws {
    let folder = try Folder()
    let path = try folder.write("one\n", to: "keys")
    let keys = try APIKeyFile(path: path, interval: .milliseconds(20), log: quiet)
    try folder.write("two\n", to: "keys")
    let deadline = ContinuousClock.now + .seconds(30)
    while keys.name(of: "two") == nil, .now < deadline { try await Task.sleep(for: .milliseconds(5)) }
    #expect(keys.name(of: "two") != nil)
    #expect(keys.name(of: "one") == nil)
  }

  @Test func filesOfAnotherKindAreRefused() throws {
    let folder = try Folder()
    #expect(mkfifo(folder.file("pipe"), 0o600) == 0)
    try Data(count: CredentialFile.maximumBytes + 1).write(to: URL(filePath: folder.file("large")))
    try Data([0xFF, 0xFE, 0x80]).write(to: URL(filePath: folder.file("binary")))
    for (name, problem) in [
      ("pipe", "is not a file"), ("large", "more than"), ("binary", "not UTF-8"), ("none", "No such file"),
      ("", "is not a file"),
    ] {
      let error = #expect(throws: CredentialsError.self) { try CredentialFile.readText(folder.file(name)) }
      #expect(error?.message.contains(problem) == true, "\(String(describing: error))")
    }
  }

  @Test func comparisonSeesEveryByte() {
    let secret = Array("0123456789abcdef".utf8)
    #expect(ConstantTime.areEqual(secret, secret))
    #expect(!ConstantTime.areEqual(secret, secret.dropLast()))
    #expect(!ConstantTime.areEqual([UInt8](), [0]))
    for index in secret.indices {
      var other = secret
      other[index] ^= 1
      #expect(!ConstantTime.areEqual(secret, other))
    }
  }
}
