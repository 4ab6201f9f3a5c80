import Foundation
import Testing

/// `wanspec certs`, `tokens` and `keys`, and what the TLS options say about wrong files.
struct SecurityCommandTests {
  private func withFolder(_ body: (String) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "wanspec-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try await body(folder.path)
  }

  private func objects(_ result: Program.Result) -> [[String: Any]] {
    result.output.split(separator: "\n").compactMap {
      try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
    }
  }

  @Test func certificatesFromMakingToRevoking() async throws {
    try await withFolder { folder in
      let environment = ["WANSPEC_CERTS": "\(folder)/certs"]
      func certs(_ arguments: String...) async throws -> Program.Result {
        try await Program.run(["certs"] + arguments, environment: environment)
      }
      #expect(try await certs("init", "\(folder)/certs").status == 0)
      let twice = try await certs("init", "\(folder)/certs")
      #expect(twice.status == 1 && twice.errors.contains("exists already") && twice.errors.contains("hint:"))
      #expect(try await certs("issue", "controller", "main", "--san", "a.example,10.0.0.1").status == 0)
      let issued = try await certs("issue", "worker", "w1", "--site", "attic", "--validity", "20d", "--json")
      #expect(issued.status == 0)
      let days = try #require(objects(issued).first?["days_left"] as? Int)
      #expect((19...20).contains(days))
      #expect(issued.output.contains("\"site\":\"attic\""))
      let renewed = objects(try await certs("renew", "--all", "--within", "30d", "--json"))
      #expect(renewed.map { $0["event"] as? String } == ["not due", "renewed"])
      #expect(try await certs("revoke", "w1").status == 0)
      let list = objects(try await certs("list", "--json"))
      #expect(list.map { $0["name"] as? String } == ["main", "w1"])
      #expect(list.map { $0["revoked"] as? Bool } == [false, true])
      #expect(list.map { $0["role"] as? String } == ["controller", "worker"])
      #expect(list.allSatisfy { ($0["fingerprint"] as? String)?.hasPrefix("sha256:") == true })
      let table = try await certs("list")
      #expect(table.output.contains("revoked") && table.output.contains("days left"))
      let again = try await certs("renew", "w1")
      #expect(again.status == 1 && again.errors.contains("is revoked"))
    }
  }

  @Test(arguments: [
    (["tokens"], "wsj_"), (["keys"], "wsk_"),
  ])
  func secretsFromMakingToRevoking(command: [String], prefix: String) async throws {
    try await withFolder { folder in
      let file = ["--file", "\(folder)/secrets"]
      let made = try await Program.run(command + ["create", "alice", "--expires", "30d"] + file)
      #expect(made.status == 0)
      // Alone on standard output, so that it can go into a file.
      let secret = made.output.trimmingCharacters(in: .newlines)
      #expect(secret.hasPrefix(prefix) && !secret.contains("\n"))
      let listed = try await Program.run(command + ["list", "--json"] + file)
      #expect(objects(listed).first?["name"] as? String == "alice")
      #expect(objects(listed).first?["expired"] as? Bool == false)
      #expect(!listed.output.contains(secret))
      let taken = try await Program.run(command + ["create", "alice"] + file)
      #expect(taken.status == 1 && taken.errors.contains("already"))
      #expect(try await Program.run(command + ["revoke", "alice"] + file).status == 0)
      let gone = try await Program.run(command + ["revoke", "alice"] + file)
      #expect(gone.status == 1 && gone.errors.contains("no ") && gone.errors.contains("alice"))
      #expect(try await Program.run(command + ["list"] + file).output.contains("name"))
    }
  }

  /// Wrong flags: exit code 64.
  @Test(arguments: [
    (["certs", "init"], "dir"),
    (["certs", "init", "x", "--validity", "10"], "not a time span"),
    (["certs", "init", "x", "--validity", "200y"], "longer than 100 years"),
    (["certs", "renew"], "Give a name or --all"),
    (["certs", "renew", "w1", "--all"], "Give a name or --all"),
    (["tokens", "list"], "WANSPEC_JOIN_TOKENS"),
    (["keys", "create", "x"], "WANSPEC_API_KEYS"),
    (["tokens", "create", "x", "--file", "f", "--expires", "-3d"], "expires"),
    (["worker", "--tls-cert", "c"], "belong together"),
    (["worker", "--tls-server-name", "x"], "needs TLS"),
    (["generate", "hi", "--tls-key", "k"], "belong together"),
    (["generate", "hi", "--tls-cert", "c", "--tls-key", "k"], "--worker-ca, --join-tokens or both"),
    (["generate", "hi", "--join-tokens", "t"], "need TLS"),
    (
      ["generate", "hi", "--tls-cert", "c", "--tls-key", "k", "--join-tokens", "t", "--worker-allow", "a"],
      "needs --worker-ca"
    ),
  ])
  func wrongFlagsAreNamed(arguments: [String], message: String) async throws {
    let result = try await Program.run(arguments)
    #expect(result.status == 64, "\(arguments): \(result)")
    #expect(result.errors.contains(message), "\(arguments): \(result.errors)")
  }

  /// Wrong files: exit code 1, before any model is loaded, and no secret in what is said.
  @Test func wrongFilesAreNamed() async throws {
    try await withFolder { folder in
      let certs = "\(folder)/certs"
      for arguments in [
        ["init", certs], ["issue", "controller", "main", "--certs", certs],
        ["issue", "worker", "w1", "--certs", certs],
      ] {
        #expect(try await Program.run(["certs"] + arguments).status == 0)
      }
      let tokens = "\(folder)/tokens"
      try Data("wsj_verysecret\n".utf8).write(to: URL(filePath: tokens))
      let two = "\(folder)/two"
      try Data("wsj_verysecret wsj_other\n".utf8).write(to: URL(filePath: two))
      let pair = ["--tls-cert", "\(certs)/main.pem", "--tls-key"]
      // Keys are looked at before models: any file stands for one, so that none has to be here.
      let cases: [([String], String)] = [
        (["worker", "--certs", "\(folder)/nowhere"], "no authority in"),
        (["worker", "--tls-ca", "\(folder)/none.pem"], "none.pem: No such file"),
        (["worker", "--tls-ca", "\(certs)/ca.key"], "holds no certificate"),
        (["worker", "--tls-ca", "\(certs)/ca.pem", "--token-file", two], "one join token"),
        (["generate", "hi", "--target", tokens, "--certs", folder], "no authority in"),
        (
          ["generate", "hi", "--target", tokens, "--worker-ca", "\(certs)/ca.pem"] + pair + [
            "\(certs)/w1.key"
          ],
          "is not the key of"
        ),
        (
          ["generate", "hi", "--target", tokens, "--join-tokens", tokens] + pair + ["\(certs)/main.key"],
          "line 1"
        ),
        (["certs", "issue", "worker", "a/b", "--certs", certs], "cannot be a name"),
        (["certs", "issue", "worker", "w2", "--site", "a b", "--certs", certs], "cannot be a site"),
        (
          ["certs", "issue", "controller", "c2", "--san", "a b", "--certs", certs], "neither a host name nor"
        ),
        (["certs", "issue", "worker", "w1", "--certs", certs], "exists already"),
        (["certs", "renew", "w9", "--certs", certs], "no certificate"),
        (["certs", "revoke", "main", "--certs", certs], "only workers are on that list"),
        (["certs", "list", "--certs", "\(folder)/nowhere"], "no authority in"),
        (["tokens", "list", "--file", tokens], "line 1"),
        (["keys", "list", "--file", "\(folder)/none"], "No such file"),
      ]
      for (arguments, message) in cases {
        let result = try await Program.run(arguments)
        #expect(result.status == 1, "\(arguments): \(result)")
        #expect(result.errors.contains(message), "\(arguments): \(result.errors)")
        #expect(!result.errors.contains("verysecret") && !result.output.contains("verysecret"))
      }
    }
  }
}
