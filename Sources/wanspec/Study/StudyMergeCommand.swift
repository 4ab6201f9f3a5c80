import ArgumentParser
import CommandSettings
import Console
import LatencyStudy
import Spelling

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
    try OutputName.check(output, for: "a study's file", ["sqlite", "db"])
    if stores.contains(where: { OutputName.isSameFile($0, output) }) {
      throw ValidationError("--output \(output) is one of the files to merge; name another.")
    }
  }

  func run() async throws {
    let (stores, output) = (stores, output)
    let merged = try await orInterrupted { try await StudyStore.merge(stores, into: output) }
    let lines = EventLines(json: json)
    for (path, file) in zip(stores, merged.files) {
      lines.say(
        "merged", "\(path): \(file.added.counted("probe")) added, \(file.known) known already",
        ["store": path, "added": file.added, "known": file.known])
    }
    if !merged.isWhole { StandardError.write("\(output)-wal belongs to it: another process has it open\n") }
  }
}
