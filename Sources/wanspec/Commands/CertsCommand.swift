import ArgumentParser
import CommandSettings
import Console
import Credentials
import Foundation

struct CertsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "certs",
    abstract: "Make, renew and revoke the certificates of a controller and its workers.",
    discussion: """
      A private authority in a folder. Workers need ca.pem and their own NAME.pem and NAME.key; the \
      controller its own pair, ca.pem and allowed-workers. A controller that runs in the folder takes every \
      change up by itself: renewed certificates without dropping anybody, revoked workers within seconds.

      Examples:
        wanspec certs init certs
        wanspec certs issue controller main --certs certs --san controller.example,203.0.113.7
        wanspec certs issue worker physics-1 --certs certs --site physics-lab
        wanspec certs list --certs certs
        wanspec certs renew --all --within 30d --certs certs
        wanspec certs revoke physics-1 --certs certs

      Then: wanspec generate --listen 0.0.0.0:7070 --certs certs "Hello"
            wanspec worker --connect controller.example:7070 --certs certs
      """,
    subcommands: [Init.self, Issue.self, Renew.self, List.self, Revoke.self])

  struct Folder: ParsableArguments {
    @Option(Settings.certsFolder) var certs: String?

    mutating func validate() throws { certs = try Settings.certsFolder.resolve(certs) }

    var directory: CertificateDirectory { CertificateDirectory(certs!) }
  }
}

extension CertsCommand {
  struct Init: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make the authority.",
      discussion: "ca.key can certify anybody: keep it where only you can read it, and a copy elsewhere.")

    @Argument(help: ArgumentHelp("The folder, made if there is none.", valueName: "dir"))
    var path: String

    @Option(
      help: ArgumentHelp("How long the authority is good. (default: 10y)", valueName: "span"),
      transform: LifetimeArgument.init(parsing:))
    var validity: LifetimeArgument?

    @Flag(help: "Replace an authority: all of its certificates stop to count.")
    var force = false

    @OptionGroup var output: JSONOption

    func run() async throws {
      let directory = CertificateDirectory(path)
      try reportingCredentials {
        try directory.initialize(
          lifetime: validity?.seconds ?? CertificateDirectory.authorityLifetime, force: force)
      }
      if output.json {
        JSONLine.print(["authority": directory.authority, "key": directory.authorityKey])
      } else {
        StandardOutput.line("\(directory.authority): a new authority")
      }
    }
  }

  struct Issue: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a key and a certificate.", subcommands: [Controller.self, Worker.self])
  }

  /// What issuing takes for both roles.
  struct IssueOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("Names the files and the holder.", valueName: "name"))
    var name: String

    @Option(
      help: ArgumentHelp("How long it is good. (default: 90d)", valueName: "span"),
      transform: LifetimeArgument.init(parsing:))
    var validity: LifetimeArgument?

    @Flag(help: "Replace files of this name; a worker's old key is not allowed any more.")
    var force = false

    @OptionGroup var folder: Folder
    @OptionGroup var output: JSONOption

    func issue(_ role: CertificateRole, hosts: [SubjectHost] = [], site: String? = nil) throws {
      let directory = folder.directory
      let record = try reportingCredentials {
        try directory.issue(
          role, name, hosts: hosts, site: site,
          lifetime: validity?.seconds ?? CertificateDirectory.certificateLifetime, force: force)
      }
      record.tell("made", output)
      directory.warn()
    }
  }

  struct Controller: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "controller", abstract: "For a controller, which workers dial.")

    @OptionGroup var options: IssueOptions

    @Option(
      help: ArgumentHelp(
        "Host names and IP addresses under which workers dial it. (default: this host's name and loopback)",
        valueName: "host,ip,..."))
    var san: [String] = []

    func run() async throws {
      let names = san.flatMap { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
      let hosts = try reportingCredentials {
        try (names.isEmpty ? [ProcessInfo.processInfo.hostName, "localhost", "127.0.0.1", "::1"] : names)
          .map { try SubjectHost($0.trimmingCharacters(in: .whitespaces)) }
      }
      try options.issue(.controller, hosts: hosts)
    }
  }

  struct Worker: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "worker", abstract: "For a worker; it is allowed to attach from now on.")

    @OptionGroup var options: IssueOptions

    @Option(help: ArgumentHelp("Where it runs; controllers believe this rather than it.", valueName: "site"))
    var site: String?

    func run() async throws { try options.issue(.worker, site: site) }
  }

  struct Renew: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make new certificates for the same names.",
      discussion: """
        With the same key, only NAME.pem has to be copied to its machine. Programs that run take the new file \
        up by themselves.
        """)

    @Argument(help: ArgumentHelp("Which one.", valueName: "name"))
    var name: String?

    @Flag(help: "All that are not revoked.")
    var all = false

    @Option(
      help: ArgumentHelp("Only those that expire within this time: 30d.", valueName: "span"),
      transform: LifetimeArgument.init(parsing:))
    var within: LifetimeArgument?

    @Option(
      help: ArgumentHelp("How long they are good. (default: as long as before)", valueName: "span"),
      transform: LifetimeArgument.init(parsing:))
    var validity: LifetimeArgument?

    @Flag(name: .customLong("new-key"), help: "Make new keys, too.")
    var newKey = false

    @OptionGroup var folder: Folder
    @OptionGroup var output: JSONOption

    func validate() throws {
      if (name == nil) != all { throw ValidationError("Give a name or --all.") }
    }

    func run() async throws {
      let directory = folder.directory
      try reportingCredentials {
        let now = Date()
        let all = try name.map { [try directory.record($0)] } ?? directory.records().filter { !$0.isRevoked }
        for record in all {
          let left = record.identity.notAfter.timeIntervalSince(now)
          if let within, left > within.seconds {
            record.tell("not due", output)
            continue
          }
          let renewed = try directory.renew(
            record.identity.name, lifetime: validity?.seconds, newKey: newKey, now: now)
          renewed.tell("renewed", output)
        }
        if all.isEmpty, !output.json { StandardOutput.line("there is no certificate to renew") }
      }
      directory.warn()
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Certificates, and which of them count.")

    @OptionGroup var folder: Folder
    @OptionGroup var output: JSONOption

    func run() async throws {
      let directory = folder.directory
      let records = try reportingCredentials { try directory.records() }
      if output.json {
        for record in records { record.tell(record.state, output) }
      } else {
        var table = TextTable(["name", "role", "site", "not after", "days left", "state", "key"])
        for record in records {
          let identity = record.identity
          table.add([
            identity.name, identity.role.rawValue, identity.site ?? "-",
            CredentialDate.text(identity.notAfter),
            "\(record.daysLeft())", record.state, identity.keyFingerprint.short,
          ])
        }
        StandardOutput.line(table.rendered())
      }
      directory.warn()
    }
  }

  struct Revoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Take a worker off the list of those who may attach.",
      discussion: """
        Controllers that read this folder's allowed-workers refuse it from now on, and end what it has within \
        seconds. Copy the file to controllers elsewhere.
        """)

    @Argument(help: ArgumentHelp("The worker.", valueName: "name"))
    var name: String

    @OptionGroup var folder: Folder
    @OptionGroup var output: JSONOption

    func run() async throws {
      try reportingCredentials { try folder.directory.revoke(name) }
      if output.json {
        JSONLine.print(["name": name, "revoked": true])
      } else {
        StandardOutput.line("\(name): revoked")
      }
    }
  }
}

extension CertificateRecord {
  var state: String {
    if isRevoked { return "revoked" }
    return identity.problem(at: Date()) == nil ? "good" : daysLeft() < 0 ? "expired" : "not yet valid"
  }

  func tell(_ what: String, _ output: JSONOption) {
    if output.json {
      var object: [String: any Sendable] = [
        "name": identity.name, "role": identity.role.rawValue, "event": what, "path": path,
        "not_before": CredentialDate.text(identity.notBefore),
        "not_after": CredentialDate.text(identity.notAfter), "days_left": daysLeft(), "revoked": isRevoked,
        "fingerprint": identity.certificateFingerprint.description,
        "key_fingerprint": identity.keyFingerprint.description,
      ]
      object["site"] = identity.site
      JSONLine.print(object)
    } else {
      StandardOutput.line("\(path): \(what), good until \(CredentialDate.text(identity.notAfter))")
    }
  }
}

extension CertificateDirectory {
  fileprivate func warn() {
    for exposure in exposures() { StandardError.write("wanspec: \(exposure)\n") }
  }
}
