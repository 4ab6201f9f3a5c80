import ArgumentParser
import CommandSettings
import Console
import ModelBackend
import Serving
import SpeculationCore

struct AuditCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "audit",
    abstract: "Look at what the audits of a server found.",
    discussion: """
      `wanspec serve --audit 1%` decides a share of its answers once more, with the target alone, and writes down those \
      that come out otherwise.
      """,
    subcommands: [Replay.self])
}

extension AuditCommand {
  struct Replay: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Decide recorded answers again, one token a pass, without speculation.",
      discussion: """
        Exit code 0 when the target decides all of them as the audits did, 3 when it decides one otherwise.

        Example:
          wanspec audit replay wanspec-audit.jsonl
        """)

    @Argument(help: ArgumentHelp("What `wanspec serve --audit` has written.", valueName: "file"))
    var file: String

    @Option(Settings.auditTarget) var target: String?

    @Flag(Settings.json) var json = false

    @OptionGroup(title: "Engine") var engine: EngineOptions

    mutating func validate() throws {
      target = try Settings.auditTarget.resolve(target)
      json = try Settings.json.resolve(json)
    }

    func run() async throws {
      let records = try AuditRecord.read(file)
      guard let first = records.first else {
        if !json { StandardOutput.line("\(file) has no records: no audit found another text") }
        return
      }
      let name = target ?? first.target
      let model = try await engine.target(try ModelResolver().path(for: name)).load()
      defer { model.shutDown() }
      var repeated = 0
      for (number, record) in records.enumerated() {
        guard target != nil || record.target == name else {
          throw CommandFailure(
            "record \(number + 1) is of \(record.target), the ones before of \(name)",
            hint: "choose one with --target, or split the file")
        }
        let now = try await record.decide(with: model)
        if now.repeats(record) { repeated += 1 }
        report(number + 1, record, now, model)
      }
      if !json {
        StandardOutput.line(
          "\n\(repeated) of \(records.count) record\(records.count == 1 ? "" : "s") came out as the audit found"
        )
      }
      if repeated < records.count { throw ExitCode(3) }
    }

    private func report(
      _ number: Int, _ record: AuditRecord, _ now: AuditReplay, _ model: any TargetModel
    ) {
      func text(_ token: TokenID) -> String {
        "\(token) \(String(decoding: model.tokenizer.bytes(of: token), as: UTF8.self).debugDescription)"
      }
      if json {
        JSONLine.print([
          "record": number, "index": record.index, "given": Int(record.given), "audit": Int(record.chosen),
          "audit_margin": Double(record.margin), "now_index": now.index, "now": Int(now.token),
          "now_margin": Double(now.margin), "repeated": now.repeats(record),
        ])
      } else {
        StandardOutput.line(
          "record \(number), token \(record.index + 1) of \(record.answer.count): answered \(text(record.given)),"
            + " the audit chose \(text(record.chosen)) by \(record.margin)")
        let place = now.index == record.index ? "now" : "now already at token \(now.index + 1)"
        StandardOutput.line("  \(place): \(text(now.token)) by \(now.margin)")
      }
    }
  }
}
