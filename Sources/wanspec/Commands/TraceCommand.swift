import ArgumentParser
import Benchmarking
import CommandSettings
import Console
import Foundation
import OutputFiles
import ScenarioReports
import Serving
import Simulator
import SpeculationCore
import VisibleText

struct TraceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "trace",
    abstract: "Record what a pair of models says about texts, for the simulator.",
    subcommands: [Record.self, Info.self, Calibrate.self])
}

extension TraceCommand {
  struct Record: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Run a target and its draft over a prompt file and store what both say at each position.",
      discussion: """
        The target answers each prompt (with the draft's help; the text is the target's own). Then both read \
        the text again, and for every position the target's choice, its probability and its lead over the \
        runner-up are stored, with the draft's entropy and likeliest tokens. `wanspec simulate` runs on the \
        result without any model. An interrupted run keeps the texts it has finished; the same command goes on \
        with the others.

        Example:
          wanspec trace record --prompts prompts.jsonl --limit 42 --max-tokens 192 recording.jsonl.gz
        """)

    @Argument(help: ArgumentHelp("Where to write the recording.", valueName: "file"))
    var output: String

    @Option(Settings.prompts) var prompts: String?

    @Option(Settings.traceLimit) var limit: Int?

    @Option(Settings.traceTokens) var maxTokens: Int?

    @Option(Settings.traceCandidates) var candidates: Int?

    @OptionGroup var models: ModelPairOptions

    @OptionGroup(title: "Sampling") var sampling: SamplingOptions
    @OptionGroup(title: "Engine") var engine: EngineOptions

    mutating func validate() throws {
      prompts = try Settings.prompts.resolve(prompts)
      limit = try Settings.traceLimit.resolve(limit)
      maxTokens = try Settings.traceTokens.resolve(maxTokens)
      candidates = try Settings.traceCandidates.resolve(candidates)
      if prompts == nil { throw ValidationError("Give a prompt file: --prompts FILE.") }
    }

    func run() async throws {
      let all = try PromptFile.read(prompts!)
      let chosen = limit == 0 ? all : PromptFile.spread(all, limit: limit!)
      try OutputFile.requireWritable(output)
      let resolver = ModelResolver()
      let settings = ControllerHost.Settings(
        target: engine.target(try resolver.path(for: models.target!)).load,
        local: engine.draft(try resolver.path(for: models.draft!)).load)
      func name(_ model: String) -> String { URL(fileURLWithPath: model).lastPathComponent }
      let recorder = TraceRecorder(
        target: name(models.target!), draft: name(models.draft!), prompts: chosen, maxTokens: maxTokens!,
        candidates: candidates!, sampling: sampling.settings, known: try earlierTexts(name),
        version: BuildInformation.version)
      let bar = ProgressBar(title: "recording")
      let output = self.output
      let recording = try await recorder.run(settings) { done, of, note in
        bar.update(done: Int64(done), total: Int64(of), note: note)
      }
      bar.finish()
      try recording.write(to: output)
      StandardOutput.line(recording.summary(of: output))
    }

    /// What an earlier run left in the file, if it was of the same models and settings.
    private func earlierTexts(_ name: (String) -> String) throws -> [Recording.Text] {
      guard case .file(let place) = try OutputPlace(output), FileManager.default.fileExists(atPath: place)
      else { return [] }
      let earlier: Recording
      do {
        earlier = try Recording.read(output)
      } catch {
        throw CommandFailure("\(error)", hint: "write to another file, or move this one away")
      }
      guard earlier.target == name(models.target!), earlier.draft == name(models.draft!),
        earlier.candidates == candidates!,
        earlier.sampling == sampling.settings
      else {
        throw CommandFailure(
          "\(output) is a recording of \(earlier.target) drafted by \(earlier.draft), or with other settings",
          hint: "write to another file, or move this one away")
      }
      return earlier.texts
    }

    /// Before an hour's work, not after it.
  }

  struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Say what a recording holds, and how good its draft is.")

    @Argument(help: ArgumentHelp("A recording.", valueName: "file"))
    var file: String

    @OptionGroup var output: JSONOption

    func run() throws {
      let recording = try Recording.read(file)
      if output.json {
        JSONLine.print(recording.summaryObject)
      } else {
        StandardOutput.line(recording.summary(of: file))
      }
    }
  }
}

extension TraceCommand {
  struct Calibrate: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract:
        "Judge how well a draft's probabilities come true, as it states them and as wanspec corrects them.",
      discussion: """
        The correction learns as it goes, as in a running controller: every probability is judged before the \
        position it belongs to is learned from. Brier score: mean squared error, lower is better.
        """)

    @Argument(help: ArgumentHelp("A recording.", valueName: "file"))
    var file: String

    @Option(
      parsing: .unconditional,
      help: ArgumentHelp("Candidates of each position to judge.", valueName: "n"))
    var candidates = 4

    @Option(help: ArgumentHelp("Write a page with the reliability diagrams.", valueName: "file"))
    var html: String?

    @OptionGroup var output: JSONOption

    mutating func validate() throws {
      if !(1...64).contains(candidates) {
        throw ValidationError("--candidates must be between 1 and 64, not \(candidates).")
      }
    }

    func run() throws {
      let recording = try Recording.read(file)
      let report = CalibrationReport(
        recording, file: file, candidates: candidates, version: BuildInformation.version)
      if output.json { JSONLine.print(report.object) } else { StandardOutput.line(report.text) }
      guard let html else { return }
      try OutputFile.write(try report.page().html(), to: html)
    }
  }
}

extension Recording {
  private static let ranks = [1, 2, 3, 4, 8, 16]

  var summaryObject: [String: any Sendable] {
    var object: [String: any Sendable] = [
      "target": target, "draft": draft, "made_by": madeBy, "texts": texts.count, "positions": positionCount,
      "candidates": candidates,
    ]
    for rank in Self.ranks where rank <= candidates { object["match_\(rank)"] = matchRate(within: rank) }
    return object
  }

  func summary(of file: String) -> String {
    var table = TextTable(
      ["task", "texts", "positions"] + Self.ranks.filter { $0 <= candidates }.map { "top \($0)" })
    var tasks: [String?] = [nil]
    for text in texts where !tasks.contains(text.task) { tasks.append(text.task) }
    for task in tasks {
      var part = self
      part.texts = texts(of: task)
      table.add(
        [task ?? "all", "\(part.texts.count)", "\(part.positionCount)"]
          + Self.ranks.filter { $0 <= candidates }.map { "\((part.matchRate(within: $0) * 100).fixed(1))%" })
    }
    return """
      \(file): \(target.visibleLine) drafted by \(draft.visibleLine)
      \(madeBy.visibleLine)
      How often the target's choice is among the draft's likeliest:

      \(table.rendered())
      """
  }
}
