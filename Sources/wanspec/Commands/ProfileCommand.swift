import ArgumentParser
import Benchmarking
import Console
import Foundation
import OutputFiles
import Serving
import Simulator
import SpeculationCore

struct ProfileCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "profile",
    abstract: "Measure how long the passes of a target and a draft take here, for the simulator.",
    discussion: """
      Measures T(n) of the target and d(b) of the draft, what a token of a prompt costs, and how much each is \
      slowed while the other computes (on one machine they share memory and power). A scenario takes the file with \
      "profile: FILE".

      Example:
        wanspec profile --cpus 0 --worker-cpus 1 --output here.json
      """)

  @OptionGroup var models: ModelPairOptions
  @OptionGroup var cores: PairCoreOptions

  @Option(
    name: .customLong("max-batch"), parsing: .unconditional,
    help: ArgumentHelp("Largest pass to measure.", valueName: "tokens"))
  var maxBatch = 16

  @Option(help: ArgumentHelp("What the profile calls this machine.", valueName: "text"))
  var hardware: String?

  @Option(
    name: [.short, .customLong("output")],
    help: ArgumentHelp("Write the profile to a file.", valueName: "file"))
  var output: String?

  @OptionGroup(title: "Engine") var engine: EngineOptions
  @OptionGroup var format: JSONOption

  mutating func validate() throws {
    if !(1...64).contains(maxBatch) {
      throw ValidationError("--max-batch must be between 1 and 64, not \(maxBatch).")
    }
  }

  func run() async throws {
    if let output { try OutputFile.requireWritable(output) }
    let resolver = ModelResolver()
    let settings = ControllerHost.Settings(
      target: engine.target(try resolver.path(for: models.target!), cores: cores.cpus?.cores ?? []).load,
      local: engine.draft(try resolver.path(for: models.draft!), cores: cores.workerCPUs?.cores ?? []).load)
    let hardware =
      self.hardware ?? "\(ProcessInfo.processInfo.hostName), \(ProcessInfo.processInfo.processorCount) cores"
    let (names, maxBatch) = ((models.target!, models.draft!), self.maxBatch)
    var profile = try await orInterrupted {
      try await ControllerHost.run(settings) { host in
        guard let local = host.local else { preconditionFailure("a profile needs a draft model") }
        let profiler = CostProfiler(target: host.target, draft: local, maxBatch: maxBatch)
        return try await profiler.profile(
          name: "\(names.0), \(names.1)", hardware: hardware,
          source: "measured by wanspec profile \(BuildInformation.version)")
      }
    }
    profile.target.model = names.0
    profile.draft.model = names.1
    if let output { try profile.write(to: output) }
    if format.json { JSONLine.print(profile.object) } else { StandardOutput.line(profile.text) }
  }
}

extension CostProfile {
  private static func list(_ curve: CostCurve) -> String {
    curve.points.map { "\($0.size): \($0.duration.inMilliseconds.fixed(1))" }.joined(separator: ", ")
  }

  var text: String {
    """
    \(name) on \(hardware)
    T(n) ms     \(Self.list(target.pass))
    d(b) ms     \(Self.list(draft.pass))
    a token of a prompt: target \(target.prefill.inMilliseconds.fixed(2)) ms, draft \(draft.prefill.inMilliseconds.fixed(2)) ms
    what follows a token of a pass: target \(target.output.inMilliseconds.fixed(2)) ms of it
    attention, a token of a pass and of text: target \(target.attention.perToken.inMilliseconds.fixed(5)) ms, draft \(draft.attention.perToken.inMilliseconds.fixed(5)) ms
    while the other computes: target x\(contention.fixed(2)), draft x\(draftContention.fixed(2))
    varies by: target \((variation.target * 100).fixed(1))%, draft \((variation.draft * 100).fixed(1))%
    """
  }

  var object: [String: any Sendable] {
    func points(_ curve: CostCurve) -> [String: any Sendable] {
      Dictionary(uniqueKeysWithValues: curve.points.map { ("\($0.size)", $0.duration.inMilliseconds) })
    }
    return [
      "name": name, "hardware": hardware, "target_ms": points(target.pass), "draft_ms": points(draft.pass),
      "target_prefill_ms": target.prefill.inMilliseconds, "draft_prefill_ms": draft.prefill.inMilliseconds,
      "target_output_ms": target.output.inMilliseconds,
      "target_attention_ms": target.attention.perToken.inMilliseconds,
      "draft_attention_ms": draft.attention.perToken.inMilliseconds, "contention": contention,
      "draft_contention": draftContention, "variation": variation.target,
      "draft_variation": variation.draft,
    ]
  }
}
