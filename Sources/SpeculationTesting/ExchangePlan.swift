import SpeculationCore

/// Everything that a run of `ExchangeDriver` is given: models, settings, delays, faults.
public struct ExchangePlan: Sendable {
  public struct Session: Sendable {
    public var prompt: [TokenID]
    public var sampling: SamplingSettings
    public var configuration: ControllerMachine.Configuration
    /// T(n) known at the start: a fixed part and a part per token; nil when nothing was measured.
    public var hasMeasuredCosts: Bool
    public var hasHomeDraft: Bool
    /// Cancel after this many target passes.
    public var cancelAfter: Int?
    /// Fail the target pass with this index.
    public var targetFailsAt: Int?
    /// Fail the home draft pass with this index.
    public var homeFailsAt: Int?
  }

  public struct Worker: Sendable {
    public var configuration: WorkerMachine.Configuration
    public var delay: ClosedRange<Duration>
    public var pass: Duration
    public var perNode: Duration
    /// How likely each pass is to fail.
    public var passFailure: Double
    /// How likely each message that arrives is to be the last before the connection breaks.
    public var breakage: Double
    /// Whether a broken connection is the end of the process or only of the connection.
    public var crashes: Bool
    /// Tells lies instead of drafting.
    public var isHostile: Bool
  }

  public var script: ScriptedModel
  public var sessions: [Session]
  public var workers: [Worker]
  public var target: (pass: Duration, perToken: Duration)
  public var home: (pass: Duration, perNode: Duration)
  /// Compare the whole trees after every so many events.
  public var inspectEvery: Int
  /// Draws everything that happens by chance during the run.
  public var random: SplitMix64

  /// One session on models that agree most of the time, no worker, no home draft model.
  public init(
    script: ScriptedModel, prompt: [TokenID] = [1], sampling: SamplingSettings = .greedy, maxTokens: Int = 64,
    contextLength: Int = 4096, seed: UInt64
  ) {
    self.script = script
    let configuration = ControllerMachine.Configuration(
      vocabularySize: script.vocabularySize, contextLength: contextLength, maxTokens: maxTokens,
      endTokens: [ScriptedModel.endToken])
    sessions = [
      Session(
        prompt: prompt, sampling: sampling, configuration: configuration, hasMeasuredCosts: true,
        hasHomeDraft: false)
    ]
    workers = []
    target = (.milliseconds(30), .microseconds(100))
    home = (.milliseconds(5), .microseconds(100))
    inspectEvery = 1
    random = SplitMix64(seed: seed)
  }

  /// A worker that keeps to the protocol and never fails.
  public static func steadyWorker(
    delay: ClosedRange<Duration>, limits: DraftLimits = DraftLimits(), contextLength: Int = 4096
  ) -> Worker {
    Worker(
      configuration: WorkerMachine.Configuration(limits: limits, contextLength: contextLength), delay: delay,
      pass: .milliseconds(5), perNode: .microseconds(100), passFailure: 0, breakage: 0, crashes: false,
      isHostile: false)
  }
}

extension ExchangePlan {
  /// A random plan. Equal seeds give equal plans and equal runs.
  public init(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    script = ScriptedModel(
      seed: random.next(), vocabularySize: Int.random(in: 4...50, using: &random),
      endProbability: [0, 0.01, 0.05].randomElement(using: &random)!,
      agreement: [0, 0.3, 0.7, 0.9, 0.98, 1].randomElement(using: &random)!,
      isMisleading: random.chance(0.05))
    sessions = []
    workers = []
    target = (
      random.duration(.milliseconds(1)...(.milliseconds(40))), random.duration(.zero...(.milliseconds(8)))
    )
    home = (
      random.duration(.milliseconds(1)...(.milliseconds(20))), random.duration(.zero...(.milliseconds(4)))
    )
    inspectEvery = seed % 8 == 0 ? 1 : 16
    self.random = SplitMix64(seed: random.next())
    for _ in 0..<(random.chance(0.7) ? 1 : Int.random(in: 2...3, using: &random)) {
      sessions.append(session(&random))
    }
    for _ in 0..<[0, 1, 1, 1, 2, 3].randomElement(using: &random)! {
      workers.append(Self.worker(&random))
    }
  }

  private func session(_ random: inout SplitMix64) -> Session {
    let vocabulary = script.vocabularySize
    let prompt = (0..<Int.random(in: 1...8, using: &random)).map { _ in
      TokenID.random(in: 1..<TokenID(vocabulary), using: &random)
    }
    let hasHome = random.chance(0.6)
    let policies: [HomeDraftPolicy] = [.never, .always, .entropy(threshold: Float(random.uniform() * 2))]
    let schedules: [HomeDraftSchedule] = [
      .overlapped, .overlapped, .beforeVerification(length: Int.random(in: 1...8, using: &random)),
    ]
    let limits = Self.limits(&random)
    let configuration = ControllerMachine.Configuration(
      verification: VerificationPolicy(
        rule: random.chance(0.5) ? .everything : .costAware,
        maxNodes: [0, 1, 2, 4, 8, 16, 32].randomElement(using: &random)!,
        minPathProbability: random.chance(0.5) ? 0 : 0.05),
      homePolicy: policies.randomElement(using: &random)!,
      homeSchedule: schedules.randomElement(using: &random)!,
      homeLimits: limits, lookupLength: [0, 0, 1, 5].randomElement(using: &random)!,
      minGain: [0, 1.1, 3].randomElement(using: &random)!,
      maxTreeNodes: [24, 64, 512].randomElement(using: &random)!, maxCandidates: 8,
      vocabularySize: vocabulary,
      contextLength: random.chance(0.2) ? Int.random(in: 4...40, using: &random) : 4096,
      maxTokens: Int.random(in: 0...60, using: &random), endTokens: [ScriptedModel.endToken])
    return Session(
      prompt: prompt,
      sampling: random.chance(0.5)
        ? .greedy : SamplingSettings(temperature: 0.8, topK: 40, topP: 0.95, seed: random.next()),
      configuration: configuration, hasMeasuredCosts: random.chance(0.7), hasHomeDraft: hasHome,
      cancelAfter: random.chance(0.05) ? Int.random(in: 0...10, using: &random) : nil,
      targetFailsAt: random.chance(0.05) ? Int.random(in: 0...10, using: &random) : nil,
      homeFailsAt: random.chance(0.1) ? Int.random(in: 0...10, using: &random) : nil)
  }

  private static func limits(_ random: inout SplitMix64) -> DraftLimits {
    DraftLimits(
      passWidth: Int.random(in: 1...8, using: &random), candidates: Int.random(in: 1...6, using: &random),
      minProbability: [0, 0.02, 0.6].randomElement(using: &random)!,
      minPathProbability: [0, 0.01, 0.1].randomElement(using: &random)!,
      maxDepth: Int.random(in: 1...12, using: &random),
      maxNodes: [16, 32, 100].randomElement(using: &random)!)
  }

  private static func worker(_ random: inout SplitMix64) -> Worker {
    let shortest = random.duration(.zero...(.milliseconds(80)))
    return Worker(
      configuration: WorkerMachine.Configuration(
        limits: limits(&random), maxSessions: random.chance(0.1) ? 1 : 64,
        contextLength: random.chance(0.1) ? Int.random(in: 4...40, using: &random) : 4096),
      delay: shortest...(shortest + random.duration(.zero...(.milliseconds(60)))),
      pass: random.duration(.milliseconds(1)...(.milliseconds(15))),
      perNode: random.duration(.zero...(.milliseconds(3))), passFailure: random.chance(0.2) ? 0.05 : 0,
      breakage: random.chance(0.3) ? 0.05 : 0, crashes: random.chance(0.5), isHostile: random.chance(0.15))
  }
}
