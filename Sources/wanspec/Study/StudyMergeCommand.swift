import ArgumentParser
import CommandSettings
import Console
import Foundation
import LatencyStudy

struct StudyMergeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge",
    abstract: "Bring the files of several sources together.",
    discussion: """
      All files must be of one campaign. Probes that several of them hold are taken once; merging again adds nothing.

      Example:
        wanspec study merge my-study-*.sqlite --output all.sqlite
      """)

  @Argument(help: ArgumentHelp("Files of runs.", valueName: "store"), completion: .file())
  var stores: [String]

  @Option(
    name: [.short, .customLong("output")],
    help: ArgumentHelp("The file that takes them in; made, or added to.", valueName: "file"),
    completion: .file())
  var output: String

  @Flag(Settings.json) var json = false

  mutating func validate() throws {
    json = try Settings.json.resolve(json)
    if stores.contains(where: { same($0, output) }) {
      throw ValidationError("--output \(output) is one of the files to merge; name another.")
    }
  }

  private func same(_ a: String, _ b: String) -> Bool {
    URL(filePath: a).standardizedFileURL.resolvingSymlinksInPath()
      == URL(filePath: b).standardizedFileURL.resolvingSymlinksInPath()
  }

  func run() async throws {
    let inputs = try stores.map { try StudyStore.open($0) }
    let lock = try StoreLock(output)
    defer { withExtendedLifetime(lock) {} }
    let all = try StudyStore.create(output, campaign: inputs[0].campaign, emulated: inputs[0].emulated)
    let lines = EventLines(json: json)
    for input in inputs {
      let merged = try all.merge(input)
      lines.say(
        "merged", "\(input.path): \(merged.added) probes added, \(merged.known) known already",
        ["store": input.path, "added": merged.added, "known": merged.known])
      input.close()
    }
    try all.finish()
    all.close()
  }
}
