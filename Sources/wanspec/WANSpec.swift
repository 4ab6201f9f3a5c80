import ArgumentParser
import CommandSettings
import Console
import Foundation
import Logging

@main
struct WANSpec: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wanspec",
    abstract: "Speculative decoding across the wide-area network.",
    discussion: """
      A large target model decides every token, beside its controller. A small draft model guesses ahead of \
      it, on a worker anywhere: the guesses cross the network while the target computes, so the delay hides. \
      The text is what the target alone would have written.

      To see it work on this machine:  wanspec demo
      To run it for real:
        certificates, once:  wanspec certs --help
        beside the target:   wanspec generate --mode wan --listen 0.0.0.0:7070 --certs certs "Hello"
        at an idle site:     wanspec worker --connect controller.example:7070 --certs certs
      """,
    version: "wanspec \(BuildInformation.version)",
    subcommands: [
      GenerateCommand.self, ServeCommand.self, WorkerCommand.self, LinkCommand.self, ModelsCommand.self,
      BenchCommand.self,
      SimulateCommand.self, TraceCommand.self, ProfileCommand.self, StudyCommand.self, PlanCommand.self,
      DemoCommand.self,
      DoctorCommand.self, AuditCommand.self,
      CertsCommand.self, TokensCommand.self, KeysCommand.self,
    ])

  static func main() async {
    StandardStreams.prepare()
    LoggingSystem.bootstrap { VisibleLogHandler(StreamLogHandler.standardError(label: $0)) }
    let arguments = Array(CommandLine.arguments.dropFirst())
    do {
      try ConfigurationFile.install(arguments: arguments, commands: ["serve", "worker"])
    } catch {
      CommandProgram.end(Self.self, ValidationError("\(error)"))
    }
    await CommandProgram.run(Self.self, arguments, explaining: SettingRecords.explaining)
  }
}

enum BuildInformation {
  static let version = "0.1.0"

  /// Tells builds of one version apart, for results that are kept: by the program's file.
  static let identity: String = {
    let attributes = try? FileManager.default.attributesOfItem(
      atPath: Bundle.main.executablePath ?? CommandLine.arguments[0])
    let time = (attributes?[.modificationDate] as? Date)?.timeIntervalSince1970 ?? 0
    return "\(version) \(attributes?[.size] ?? 0) \(time)"
  }()
}
