import SpeculationCore

/// Plans speak plainly; this is the one place that knows how the machines want to be told.
extension FaultPlan {
  func machine(for worker: Worker) -> WorkerMachine {
    WorkerMachine(
      configuration: WorkerMachine.Configuration(
        limits: worker.limits.draftLimits, maxSessions: worker.maxSessions,
        contextLength: worker.contextLength,
        // Slow enough that a worker that comes late reads before it guesses.
        readingCost: .milliseconds(10)))
  }
}

extension FaultPlan.PassTime {
  /// - Parameter count: tokens or nodes
  func duration(_ count: Int) -> Duration { .microseconds(fixed + each * Int64(count)) }

  /// The pass on a machine that is a fifth slower than usual: no pass takes longer.
  func longest(_ count: Int) -> Duration { duration(count) * 1.2 + .microseconds(1) }

  var curve: CostCurve {
    CostCurve(measured: Dictionary(uniqueKeysWithValues: [1, 4, 16, 32].map { ($0, duration($0)) }))
  }
}

extension FaultPlan.Limits {
  var draftLimits: DraftLimits {
    DraftLimits(
      passWidth: passWidth, candidates: candidates, minProbability: Float(minProbability),
      minPathProbability: minPathProbability, maxDepth: maxDepth, maxNodes: maxNodes)
  }
}

extension FaultPlan.Session {
  var policy: LocalDraftPolicy {
    hasLocalDraft ? localPolicy : .never
  }

  var samplingSettings: SamplingSettings {
    temperature == 0
      ? .greedy
      : SamplingSettings(temperature: Float(temperature), topK: 40, topP: 0.95, seed: samplingSeed)
  }
}
