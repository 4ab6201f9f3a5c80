import SpeculationCore
import WideArea

/// How fast simulations run on this machine, on one core: a fixed deployment on fixed texts, so that figures of
/// different versions can be compared.
///
/// The virtual results (`result`) are the same on every machine; only `seconds` and what follows from it differ.
public enum SpeedProbe {
  public enum Case: String, Sendable, CaseIterable {
    /// Drafting locally, five in a row, before each verification. No link.
    case sequential
    /// One worker that drafts a single chain (B = 1, m = 1), 30 ms away.
    case chain
    /// One worker that drafts a tree (B = 16, m = 4, V = 16), 30 ms away.
    case tree
  }

  public struct Outcome: Sendable {
    /// Of one run over all texts.
    public var result: SimulationResult
    public var runs: Int
    /// Of all runs.
    public var seconds: Double

    public var tokensPerSecond: Double { Double(runs * result.statistics.tokens) / seconds }
    public var eventsPerSecond: Double { Double(runs * result.events) / seconds }
    /// Nodes drafted, at workers and locally: what a tree costs.
    public var expansionsPerSecond: Double {
      Double(runs * (result.workerExpansions + result.statistics.localExpansions)) / seconds
    }
  }

  /// Runs a case over and over until the time is up.
  ///
  /// - Parameters:
  ///   - duration: how long, at least; a run that has begun is finished
  ///   - recording: the texts; nil draws them from a chain of matches (0.9 after a hit, 0.85 after a miss)
  public static func run(
    _ probe: Case, for duration: Duration = .seconds(2), recording: Recording? = nil
  ) -> Outcome {
    let source =
      recording.map { TokenSource($0, seed: 1) }
      ?? TokenSource(MatchChain(afterHit: 0.9, afterMiss: 0.85), texts: 8, length: 2000, seed: 1)
    let plan = plan(probe)
    // The first run warms caches up.
    var outcome = Outcome(result: Simulation.run(plan, source), runs: 0, seconds: 0)
    let start = ContinuousClock.now
    while outcome.runs == 0 || start.duration(to: .now) < duration {
      outcome.result = Simulation.run(plan, source)
      outcome.runs += 1
      outcome.seconds = start.duration(to: .now).inSeconds
    }
    return outcome
  }

  /// T = 30 ms, d = 5 ms, whatever the width: every pass is as large as its limits allow.
  static func plan(_ probe: Case) -> SimulationPlan {
    let target = CostCurve(measured: [1: .milliseconds(30)])
    let draft = CostCurve(measured: [1: .milliseconds(5)])
    func worker(_ width: Int, _ candidates: Int) -> SimulationPlan.Worker {
      SimulationPlan.Worker(
        limits: DraftLimits(
          passWidth: width, candidates: candidates, minProbability: 0.001, minPathProbability: 0.001,
          maxDepth: 64, maxNodes: 4096),
        cost: draft, link: LinkModel(roundTripMilliseconds: 30))
    }
    func everything(_ nodes: Int) -> VerificationPolicy {
      VerificationPolicy(rule: .everything, maxNodes: nodes, minPathProbability: 0)
    }
    switch probe {
    case .sequential:
      return SimulationPlan(settings: .localSequential(length: 5), targetCost: target, localCost: draft)
    case .chain:
      return SimulationPlan(
        settings: .wideArea(verification: everything(8), minGain: 0), targetCost: target,
        workers: [worker(1, 1)])
    case .tree:
      return SimulationPlan(
        settings: .wideArea(verification: everything(16), minGain: 0), targetCost: target,
        workers: [worker(16, 4)])
    }
  }
}
