import SpeculationCore

/// What serves a model: a library in this process, or an adapter to a program beside it or behind a network.
///
/// `TargetModel` and `DraftModel` add what it can do with the model. An engine may be both. Calls from several tasks are
/// queued and run one after the other; `SpeculationTesting` has the checks that every engine must pass.
public protocol Engine: Sendable {
  /// The model that is loaded.
  var model: ModelDescription { get }

  /// What this engine can do, for those who ask it.
  var capabilities: EngineCapabilities { get }

  /// Of the model, with its chat template.
  var tokenizer: any Tokenizer { get }

  /// Measures how long passes over n new tokens take, T(n) of a target and d(n) of a draft. Nothing stays cached.
  ///
  /// - Parameters:
  ///   - maxBatch: the largest n to measure
  ///   - budget: time to spend; n = 1 is measured, however long it takes
  ///   - contextLength: tokens already in the cache, since a pass over a longer text costs more
  /// - Returns: durations by n
  /// - Throws: `ModelError`
  func measureCosts(maxBatch: Int, budget: Duration, contextLength: Int) async throws -> [Int: Duration]

  /// Forgets a session. What was cached of its text is free for others, or kept for a later session that begins alike
  /// while nobody needs the room. Unknown sessions are ignored.
  func release(_ session: SessionID) async

  /// Forgets a session and all that was cached for it: no later text will begin like it.
  func discard(_ session: SessionID) async

  /// Makes running and later passes fail with `ModelError.cancelled`.
  func shutDown()

  /// Returns when the passes that were under way are over. After `shutDown`, before the process ends.
  func settle() async
}

extension Engine {
  /// With four seconds, a batch of 16 and a short text where nothing else is said.
  public func measureCosts(maxBatch: Int = 16, budget: Duration = .seconds(4)) async throws -> [Int: Duration]
  {
    try await measureCosts(maxBatch: maxBatch, budget: budget, contextLength: 128)
  }
}

/// What an engine can do.
public struct EngineCapabilities: Hashable, Sendable {
  /// What one verification may check.
  public enum Drafts: Hashable, Sendable {
    /// Any tree of guesses below the root.
    case trees
    /// One guess after the other.
    case chains
  }

  /// Who chooses a token where the temperature is not 0.
  public enum Sampling: Hashable, Sendable {
    /// The keyed choice (`TokenChooser`): the same seed gives the same text, whoever guesses.
    case keyed
    /// The engine's own, without a key: texts are distributed as the model says, and are never the same twice.
    case own
  }

  public var drafts: Drafts
  public var sampling: Sampling
  /// Whether a position's choice is the same whatever else is in the pass.
  public var isDeterministic: Bool
  /// Whether choices say by how much they won (`TargetChoice.margin`).
  public var margins: Bool
  public var logprobs: Bool
  public var grammars: Bool

  public init(
    drafts: Drafts, sampling: Sampling, isDeterministic: Bool, margins: Bool, logprobs: Bool, grammars: Bool
  ) {
    self.drafts = drafts
    self.sampling = sampling
    self.isDeterministic = isDeterministic
    self.margins = margins
    self.logprobs = logprobs
    self.grammars = grammars
  }
}
