import Benchmarking
import Console
import Foundation
import NodeRuntime
import Serving
import Simulator
import SpeculationCore

/// A benchmark with everything it needs around it: models loaded, listener, worker and link as processes. All
/// of it is gone when `run` returns, also after SIGINT or SIGTERM.
struct BenchmarkSession {
  private let settings: ControllerHost.Settings
  private let draft: String
  private let workerArguments: [String]
  private let configurations: [BenchmarkConfiguration]
  /// Simulate the same configurations afterwards.
  private let predicts: Bool
  private let cache: BenchmarkCache

  init(
    target: String, draft: String, engine: EngineOptions, cores: CoreList?, workerCores: CoreList?,
    workerArguments: [String], configurations: [BenchmarkConfiguration], cache: BenchmarkCache, predicts: Bool
  ) throws {
    self.predicts = predicts
    self.cache = cache
    let resolver = ModelResolver()
    let needsLocal =
      predicts || configurations.contains { $0.mode.needsLocalDraft || $0.byHand.policy != .never }
    let needsWorker = configurations.contains { $0.mode == .wan }
    let draftPath = needsLocal || needsWorker ? try resolver.path(for: draft) : draft
    var plan = engine.target(try resolver.path(for: target), cores: cores?.cores ?? [])
    plan.sharesPrefixes = cache.targetKeeps
    var localPlan = engine.draft(draftPath, cores: workerCores?.cores ?? cores?.cores ?? [])
    localPlan.sharesPrefixes = cache.draftKeeps
    settings = ControllerHost.Settings(
      target: plan.load, local: needsLocal ? localPlan.load : nil,
      listen: needsWorker ? HostPort(host: "127.0.0.1", port: 0) : nil)
    self.draft = draftPath
    // What is asked of the worker alone comes last and wins.
    self.workerArguments =
      (workerCores.map { ["--cpus", "\($0)"] } ?? []) + engine.arguments
      + (cache.draftKeeps ? [] : ["--forget"])
      + (configurations.allSatisfy(\.byHand.usesAutopilot) ? [] : ["--no-autopilot"]) + workerArguments
    self.configurations = configurations
  }

  struct Outcome: Sendable {
    var rows: [BenchmarkRow]
    /// Lines with the measured T(n) and d(b) and the growth of memory.
    var costs: String
    var prediction: BenchmarkPrediction?
  }

  func run(
    prompts: [PromptRecord], repeats: Int, maxTokens: Int, sampling: SamplingSettings,
    report: @escaping @Sendable (Benchmark.Event) throws -> Void
  ) async throws -> Outcome {
    let predicts = self.predicts
    let (draft, workerArguments) = (self.draft, self.workerArguments)
    let (settings, configurations, cache) = (self.settings, self.configurations, self.cache)
    return try await orInterrupted {
      try await ControllerHost.run(settings) { host in
        var rig: LoopbackRig?
        if let listener = host.listener {
          rig = LoopbackRig(
            settings: LoopbackRig.Settings(
              program: try OwnProgram.path, draft: draft, workerArguments: workerArguments,
              controllerPort: try await listener.boundPort),
            node: host.node)
        }
        let benchmark = Benchmark(
          host: host, rig: rig, prompts: prompts, configurations: configurations, maxTokens: maxTokens,
          sampling: sampling, repeats: repeats, cache: cache)
        do {
          // Measured before and after, since machines drift.
          let before = predicts ? try await Self.profile(host) : nil
          let rows = try await benchmark.run(report)
          await rig?.stop()
          let growth = ResidentMemory.growth(rows.compactMap(\.residentBytes)).map { $0 + "\n" } ?? ""
          var outcome = Outcome(rows: rows, costs: Self.describe(host) + growth)
          if let before { outcome.prediction = try await Self.prediction(benchmark, rows, before) }
          return outcome
        } catch {
          await rig?.stop()
          throw error
        }
      }
    }
  }

  /// While no worker runs, so that these two engines are measured alone.
  private static func profile(_ host: ControllerHost) async throws -> CostProfile {
    guard let local = host.local else { preconditionFailure("a prediction needs the draft model here") }
    return try await CostProfiler(target: host.target, draft: local)
      .profile(name: "bench", hardware: "this machine", source: "wanspec bench")
  }

  private static func prediction(
    _ benchmark: Benchmark, _ rows: [BenchmarkRow], _ before: CostProfile
  ) async throws -> BenchmarkPrediction {
    guard let local = benchmark.host.local else {
      preconditionFailure("a prediction needs the draft model here")
    }
    return BenchmarkPrediction(
      BenchmarkSummary.summarize(rows, benchmark.configurations),
      texts: try await benchmark.simulatedTexts(rows, draft: local),
      vocabularySize: benchmark.host.target.model.vocabulary.size,
      profile: before.averaged(with: try await profile(benchmark.host)), cache: benchmark.cache)
  }

  private static func describe(_ host: ControllerHost) -> String {
    func list(_ curve: CostCurve, _ name: String) -> String {
      curve.points.filter { $0.size <= 16 }
        .map { "\(name)(\($0.size)) \($0.duration.inMilliseconds.fixed(1))" }.joined(separator: ", ")
    }
    let local = host.localCost.isKnown ? "\ndraft locally: \(list(host.localCost, "d")) ms" : ""
    return "target: \(list(host.targetCost, "T")) ms\(local)\n"
  }
}
