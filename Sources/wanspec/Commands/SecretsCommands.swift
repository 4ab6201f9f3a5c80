import ArgumentParser
import CommandSettings
import Console
import Credentials
import Foundation

struct TokensCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokens",
    abstract: "Make, list and revoke join tokens for workers.",
    discussion: """
      A join token is the simple way for a worker to attach: it needs no certificate of its own, only trust in \
      the controller's. Give each site its own, so that one can be revoked alone. The file keeps hashes only; \
      a running controller takes changes up within a second or two, and a revoked token's workers are gone.

      Examples:
        wanspec tokens create physics-lab --file certs/join-tokens --expires 30d
        wanspec tokens list --file certs/join-tokens
        wanspec tokens revoke physics-lab --file certs/join-tokens
        WANSPEC_JOIN_TOKEN=wsj_... wanspec worker --connect controller.example:7070 --tls-ca ca.pem
      """,
    subcommands: [CreateSecret<File>.self, ListSecrets<File>.self, RevokeSecret<File>.self])

  struct File: SecretFileOptions {
    static let kind = SecretKind.joinToken
    static let setting = Settings.tokenStore
    static let word = "token"
    static let nameHelp = "What logs will call it: the site, say."

    @Option(Settings.tokenStore) var file: String?

    mutating func validate() throws { try resolve() }
  }
}

struct KeysCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys",
    abstract: "Make, list and revoke API keys for clients.",
    discussion: """
      The file may also hold keys that you chose yourself, one a line, as llama-server's --api-key-file has; \
      those are named after their hash. A running server takes changes up within a second or two.

      Examples:
        wanspec keys create alice --file api-keys
        wanspec keys list --file api-keys
        wanspec keys revoke alice --file api-keys
      """,
    subcommands: [CreateSecret<File>.self, ListSecrets<File>.self, RevokeSecret<File>.self])

  struct File: SecretFileOptions {
    static let kind = SecretKind.apiKey
    static let setting = Settings.keyStore
    static let word = "key"
    static let nameHelp = "What limits and logs will call it: its user, say."

    @Option(Settings.keyStore) var file: String?

    mutating func validate() throws { try resolve() }
  }
}

/// What the two commands have in common.
protocol SecretFileOptions: ParsableArguments {
  static var kind: SecretKind { get }
  static var setting: Setting<String> { get }
  /// For help: "token".
  static var word: String { get }
  static var nameHelp: String { get }
  var file: String? { get set }
}

extension SecretFileOptions {
  mutating func resolve() throws {
    file = try Self.setting.resolve(file)
    if file == nil {
      throw ValidationError("Say which file: --file, or the variable \(Self.setting.variable).")
    }
  }

  private var secrets: SecretFile { SecretFile(path: file!, kind: Self.kind) }

  func create(_ name: String, _ expires: LifetimeArgument?, _ output: JSONOption) throws {
    let secret = try reportingCredentials { try secrets.create(name, lifetime: expires?.seconds) }
    if output.json {
      JSONLine.print(["name": name, "secret": secret, "file": file!])
    } else {
      // Alone on standard output, so that it can go straight into a file.
      StandardError.write("\(Self.kind.noun) \(name); it is shown this once:\n")
      StandardOutput.line(secret)
    }
    warn()
  }

  func list(_ output: JSONOption) throws {
    let table = try reportingCredentials { try secrets.read() }
    let now = Date()
    if output.json {
      for entry in table.entries {
        var object: [String: any Sendable] = [
          "name": entry.name, "fingerprint": entry.digest.description, "expired": entry.isExpired(at: now),
          "plain": entry.isPlain,
        ]
        object["created"] = entry.created.map(CredentialDate.text)
        object["expires"] = entry.expires.map(CredentialDate.text)
        JSONLine.print(object)
      }
    } else {
      var text = TextTable(["name", "created", "expires", "fingerprint"])
      for entry in table.entries {
        let expires = entry.expires.map(CredentialDate.text) ?? "never"
        text.add([
          entry.name, entry.created.map(CredentialDate.text) ?? "-",
          entry.isExpired(at: now) ? "expired \(expires)" : expires, entry.digest.short,
        ])
      }
      StandardOutput.line(text.rendered())
    }
    warn()
  }

  func revoke(_ name: String, _ output: JSONOption) throws {
    try reportingCredentials { try secrets.revoke(name) }
    if output.json {
      JSONLine.print(["name": name, "revoked": true])
    } else {
      StandardOutput.line("\(name): revoked")
    }
  }

  private func warn() {
    if let exposure = CredentialFile.exposure(of: file!) { StandardError.write("wanspec: \(exposure)\n") }
  }
}

struct CreateSecret<File: SecretFileOptions>: AsyncParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "create", abstract: "Make a \(File.word) and print it, once: it is kept nowhere.")
  }

  @Argument(help: ArgumentHelp("\(File.nameHelp)", valueName: "name"))
  var name: String

  @Option(
    help: ArgumentHelp("When it ends, from now: 30d, 12h. (default: never)", valueName: "span"),
    transform: LifetimeArgument.init(parsing:))
  var expires: LifetimeArgument?

  @OptionGroup var file: File
  @OptionGroup var output: JSONOption

  func run() async throws { try file.create(name, expires, output) }
}

struct ListSecrets<File: SecretFileOptions>: AsyncParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "list", abstract: "The \(File.word)s, without the \(File.word)s themselves.")
  }

  @OptionGroup var file: File
  @OptionGroup var output: JSONOption

  func run() async throws { try file.list(output) }
}

struct RevokeSecret<File: SecretFileOptions>: AsyncParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(commandName: "revoke", abstract: "Remove a \(File.word).")
  }

  @Argument(help: ArgumentHelp("Its name.", valueName: "name"))
  var name: String

  @OptionGroup var file: File
  @OptionGroup var output: JSONOption

  func run() async throws { try file.revoke(name, output) }
}
