import Dispatch
import SplitMix
import Synchronization

/// What a campaign did, and what it found.
public struct FaultSummary: Sendable {
  /// Plans that were run.
  public internal(set) var runs = 0
  public internal(set) var counts = FaultCounts()
  /// Equal campaigns give equal digests, on however many cores.
  public internal(set) var digest: UInt64 = 0
  public internal(set) var elapsed: Duration = .zero
  /// Of the lowest seed that failed; nil when none did.
  public internal(set) var failure: FaultFailure?
  /// All seeds that failed, ascending.
  public internal(set) var failedSeeds: [UInt64] = []

  /// Faults, and what must come of them, that no run has exercised.
  public var missing: [FaultCounts.Counter] { FaultCounts.Counter.faults.filter { counts[$0] == 0 } }
}

/// A plan that breaks a rule.
public struct FaultFailure: Error, Sendable, CustomStringConvertible {
  public var seed: UInt64
  /// What the seed's own plan breaks.
  public var broken: BrokenRule
  public var plan: FaultPlan
  /// A smaller plan that fails alike, and what it breaks.
  public var shrunk: FaultPlan
  public var shrunkBroken: BrokenRule

  public var message: String { broken.description }

  public var description: String {
    """
    seed \(seed): \(broken.kind.rawValue): \(broken)
    smaller: \(shrunkBroken)
    \(shrunk.json())
    """
  }
}

/// Many fault runs.
public enum FaultCampaign {
  /// Runs the plan of every seed, several at a time, and shrinks the first that fails.
  ///
  /// - Parameters:
  ///   - cores: runs at the same time
  ///   - stopsAtFailure: begin no further runs after one has failed. The failure reported is that of the lowest
  ///     seed either way
  ///   - shrinkAttempts: runs that shrinking may take
  ///   - adjust: changes each plan that was drawn, before it is run
  ///   - progress: called now and then with the number of runs so far, from any thread
  public static func run(
    seeds: Range<UInt64>, cores: Int = 1, codec: any FrameCodec = PlainFrameCodec(),
    stopsAtFailure: Bool = true, shrinkAttempts: Int = 4000,
    adjust: @Sendable (inout FaultPlan) -> Void = { _ in }, progress: (@Sendable (Int) -> Void)? = nil
  ) -> FaultSummary {
    let clock = ContinuousClock()
    let start = clock.now
    let next = Atomic<UInt64>(seeds.lowerBound)
    let isStopped = Atomic<Bool>(false)
    let total = Mutex(FaultSummary())
    DispatchQueue.concurrentPerform(iterations: max(1, cores)) { core in
      var counts = FaultCounts()
      var digest: UInt64 = 0
      var runs = 0
      func publish() {
        let sum = total.withLock { summary in
          summary.runs += runs
          summary.counts += counts
          summary.digest &+= digest
          return summary.runs
        }
        counts = FaultCounts()
        digest = 0
        runs = 0
        progress?(sum)
      }
      while !isStopped.load(ordering: .relaxed) {
        let seed = next.add(1, ordering: .relaxed).oldValue
        guard seed < seeds.upperBound else { break }
        TrapReport.begin(seed, core: core)
        do {
          var plan = FaultPlan(seed: seed)
          adjust(&plan)
          let outcome = try plan.run(codec: codec)
          counts += outcome.counts
          digest &+= SplitMix64.mix(outcome.digest ^ SplitMix64.mix(seed))
        } catch {
          if stopsAtFailure { isStopped.store(true, ordering: .relaxed) }
          total.withLock { $0.failedSeeds.append(seed) }
        }
        TrapReport.end(core: core)
        runs += 1
        if runs == 64 { publish() }
      }
      publish()
    }
    var summary = total.withLock { $0 }
    summary.failedSeeds.sort()
    if let seed = summary.failedSeeds.first {
      summary.failure = failure(of: seed, codec: codec, shrinkAttempts: shrinkAttempts, adjust: adjust)
    }
    summary.elapsed = clock.now - start
    return summary
  }

  /// Runs one seed; nil when it breaks no rule.
  public static func failure(
    of seed: UInt64, codec: any FrameCodec = PlainFrameCodec(), shrinkAttempts: Int = 4000,
    adjust: (inout FaultPlan) -> Void = { _ in }
  ) -> FaultFailure? {
    var plan = FaultPlan(seed: seed)
    adjust(&plan)
    do {
      _ = try plan.run(codec: codec)
      return nil
    } catch {
      let small = plan.shrunk(codec: codec, attempts: shrinkAttempts) ?? (plan, error)
      return FaultFailure(
        seed: seed, broken: error, plan: plan, shrunk: small.plan, shrunkBroken: small.broken)
    }
  }
}
