import ModelBackend
import SpeculationCore

/// One generation at a controller, from its request to its end.
struct Running {
  var machine: SessionMachine
  let output: AsyncThrowingStream<GenerationEvent, any Error>.Continuation
  let usesWorkers: Bool
  let requested: Timestamp
  let grammar: Grammar?
  let logprobs: Int?
  var timeInQueue = Duration.zero
  var firstToken: Timestamp?
  var lastToken: Timestamp?
  var passEnded: Timestamp?
  var stepOverheads: [Duration] = []
  /// What it puts into the next pass, as counted in the node's sum.
  var planned = PassLoad.none
  /// What it would verify next, kept back while it has to make room for others.
  var held: VerificationRequest?
  /// It has to make room as soon as the pass under way is over.
  var isToBeHeld = false
  var hasStarted = false
  /// Of the tokens that the last pass decided.
  var newLogprobs: [TokenLogprobs] = []
  /// Tokens of the prompt that the engine had in its cache already.
  var cachedPromptTokens = 0

  init(
    machine: SessionMachine, output: AsyncThrowingStream<GenerationEvent, any Error>.Continuation,
    usesWorkers: Bool, requested: Timestamp, grammar: Grammar?, logprobs: Int?
  ) {
    self.machine = machine
    self.output = output
    self.usesWorkers = usesWorkers
    self.requested = requested
    self.grammar = grammar
    self.logprobs = logprobs
  }

  func summary(_ reason: SessionMachine.FinishReason) -> GenerationSummary {
    GenerationSummary(
      reason: reason, statistics: machine.statistics,
      promptTokens: machine.tokens.count - machine.statistics.tokens,
      cachedPromptTokens: cachedPromptTokens, timeInQueue: timeInQueue,
      timeToFirstToken: firstToken.map { requested.duration(to: $0) },
      decodeTime: firstToken.map { $0.duration(to: lastToken!) } ?? .zero, stepOverheads: stepOverheads)
  }
}
