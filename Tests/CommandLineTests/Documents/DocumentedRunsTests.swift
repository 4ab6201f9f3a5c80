import Foundation
import Testing

/// The commands of the documents, run in their order as a reader would.
@Suite(.serialized, .enabled(if: Models.arePresent, "run `make test` once: it fetches the models"))
struct DocumentedRunsTests {
  /// Documents that are run, with the commands that they have at least.
  private static let documents = [
    "README.md": 10, "docs/operations.md": 2, "docs/performance.md": 4, "docs/recordings.md": 4,
    "docs/security.md": 8, "docs/simulator.md": 6, "docs/study.md": 4,
  ]

  @Test(arguments: documents.keys.sorted())
  func whatItSaysToTypeWorks(path: String) async throws {
    let run = try DocumentedRun(Document(path: path))
    switch path {
    case "README.md": try await Self.makeStudy(in: run.folder)
    case "docs/performance.md": try Self.writeArticles(to: run.folder.appending(path: "prompts.jsonl"))
    default: break
    }
    try await run.run()
    #expect(run.faults.isEmpty, "\(run.faults.joined(separator: "\n"))")
    #expect(run.commands >= Self.documents[path]!, "\(run.commands) commands")
  }

  @Test func noDocumentIsForgotten() throws {
    for document in try Document.all() where Self.documents[document.path] == nil {
      for block in document.blocks where block.language == "sh" {
        #expect(
          block.reasonNotToRun != nil, "\(document.path):\(block.line) is never run, and does not say why")
      }
    }
  }

  /// The test is tested: what fails, does not stay, or is not there is told, and what is marked is left alone.
  @Test func commandsThatDoNotWorkAreTold() async throws {
    let text = """
      ```sh
      wanspec simulate Scenarios/round-trip.yam
      wanspec link --listen 127.0.0.1:7070 --connect 127.0.0.1:7070
      ls Scenarios
      ```
      <!-- not run: it would fail -->
      ```sh
      wanspec simulate nowhere.yaml
      ```
      """
    let run = try DocumentedRun(Document(path: "planted.md", text: text))
    try await run.run()
    #expect(run.commands == 3)
    #expect(run.faults.count >= 2, "\(run.faults)")
    #expect(run.faults.first?.hasPrefix("planted.md:2: wanspec simulate") == true)
    #expect(run.faults.contains { $0.contains("did not stay") })
  }

  /// What the README's study begins with: a campaign, and stores of two sources, of half a day in five seconds.
  private static func makeStudy(in folder: URL) async throws {
    for block in try Document(path: "docs/study.md").blocks where block.file == "campaign.yaml" {
      try block.text.write(
        to: folder.appending(path: "campaign.yaml"), atomically: true, encoding: .utf8)
    }
    let regions = folder.appending(path: "regions.yaml")
    let sites = """
      name: my-study
      acceleration: 8640
      sources: [eu-north-1, us-east-1]
      regions:
      - {region: eu-north-1, load: 20%, prefill: 10ms, per-token: 1ms}
      - {region: us-east-1, load: 20%, prefill: 10ms, per-token: 1ms}
      """
    try sites.write(to: regions, atomically: true, encoding: .utf8)
    let campaign = folder.appending(path: "emulated.yaml").path
    let emulator = try await RunningProgram([
      "study", "emulate", regions.path, "--listen", "127.0.0.1:0", "--campaign", campaign, "--days", "0.5",
      "--every", "10min", "--json",
    ])
    _ = try await emulator.event("ready")
    async let first = probe("eu-north-1", campaign, folder)
    async let second = probe("us-east-1", campaign, folder)
    for run in try await [first, second] { try #require(run.status == 0, "\(run.errors)") }
    emulator.signal(SIGTERM)
    _ = await emulator.result()
  }

  private static func probe(_ source: String, _ campaign: String, _ folder: URL) async throws
    -> Program.Result
  {
    try await Program.run([
      "study", "run", campaign, "--source", source, "--store",
      folder.appending(path: "my-study-\(source).sqlite").path,
    ])
  }

  /// Prompts of the kinds that Benchmarks/long-prompts needs, short ones.
  private static func writeArticles(to file: URL) throws {
    let tasks =
      Array(repeating: "summarization", count: 4) + ["humaneval", "mt_bench", "qa", "math_reasoning"]
    let lines = tasks.enumerated().map { number, task in
      #"{"id": "\#(task)-\#(number)", "task": "\#(task)", "prompt": "Say in one word what number \#(number) is."}"#
    }
    try (lines.joined(separator: "\n") + "\n").write(to: file, atomically: true, encoding: .utf8)
  }
}
