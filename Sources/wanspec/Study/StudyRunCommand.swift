import ArgumentParser
import CommandSettings
import Console
import LatencyStudy
import Spelling
import StrictYAML

struct StudyRunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Probe every target of a campaign from this source, for as long as it says.",
    discussion: """
      Probes are sent when the schedule says so, whatever becomes of earlier ones, each on a fresh connection; all that \
      is seen goes into one SQLite file. Where that file is there already, the run goes on: nothing is sent twice, and \
      the time between is stored as missed.

      Before anything is sent, the number of requests and their highest cost are printed; --dry-run stops there.

      Keys come from the environment (OPENAI_API_KEY, or what key-variable names) and, for Bedrock, from where AWS's \
      own programs look: environment, profile files, instance metadata. A target that refuses them is stopped; the \
      others go on.

      Examples:
        wanspec study run campaign.yaml --dry-run
        wanspec study run campaign.yaml --source eu-west-2 --max-usd 20

      Exit code 0 when the campaign is complete; 3 when a limit was reached or every target was stopped; 130 when \
      interrupted (go on with `wanspec study resume`); 1 when something else went wrong.
      """)

  @Argument(help: ArgumentHelp("A campaign file.", valueName: "campaign"), completion: .file())
  var campaign: String

  @Option(Settings.source) var source: String?

  @Option(Settings.store, completion: .file()) var store: String?

  @OptionGroup var options: StudyRunOptions

  mutating func validate() throws {
    source = try Settings.source.resolve(source)
    store = try Settings.store.resolve(store)
  }

  func run() async throws {
    let campaign = try Campaign.read(campaign)
    let source = try Self.source(source, of: campaign)
    let path = store ?? "\(campaign.name)-\(source).sqlite"
    let session = try await StudySession(campaign: campaign, source: source, options: options)
    try await session.run(path)
  }

  /// The only source, or the named one.
  static func source(_ name: String?, of campaign: Campaign) throws -> String {
    let names = campaign.sources.map(\.name)
    guard let name else {
      guard names.count == 1 else {
        throw CommandFailure(
          "the campaign has \(names.count) sources; which one is this?",
          hint: "--source with one of: \(names.joined(separator: ", "))")
      }
      return names[0]
    }
    guard names.contains(name) else {
      let near = NearestName.of(name, among: names).map { "; did you mean \($0)?" } ?? ""
      throw CommandFailure(
        "the campaign has no source \"\(name)\"\(near)", hint: "its sources: \(names.joined(separator: ", "))"
      )
    }
    return name
  }
}

struct StudyResumeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume",
    abstract: "Go on with a campaign whose run was cut short.",
    discussion: """
      The file knows its campaign. Slots that passed meanwhile are stored as missed; nothing is sent twice. Exit codes \
      are those of `wanspec study run`.
      """)

  @Argument(help: ArgumentHelp("The file of the run.", valueName: "store"), completion: .file())
  var store: String

  @OptionGroup var options: StudyRunOptions

  func run() async throws {
    let opened = try StudyStore.open(store)
    let sources = try opened.sources()
    guard sources.count == 1 else {
      throw CommandFailure(
        sources.isEmpty
          ? "\(store): no source has begun in this file"
          : "\(store): holds \(sources.count) sources, so it was merged; a run goes on in the file of its own source",
        hint: "wanspec study run CAMPAIGN --source REGION --store \(store)")
    }
    let campaign = opened.campaign
    opened.close()
    let session = try await StudySession(campaign: campaign, source: sources[0], options: options)
    try await session.run(store)
  }
}
