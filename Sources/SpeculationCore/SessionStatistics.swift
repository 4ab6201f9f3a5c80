/// What one session did, in counts. Times belong to the driver.
public struct SessionStatistics: Hashable, Sendable {
  /// Committed tokens (without the prompt).
  public var tokens = 0
  /// Target passes.
  public var steps = 0
  /// Nodes that target passes checked.
  public var verifiedNodes = 0
  /// Committed tokens that were a worker's guess, a guess drafted locally, one from the text itself, the target's
  /// own.
  public var acceptedRemote = 0
  public var acceptedLocal = 0
  public var acceptedLookup = 0
  public var fromTarget = 0
  /// Steps after the first that began with an unexpanded root, though guesses were wanted.
  public var bubbles = 0
  /// Steps while nobody drafted because guesses did not pay.
  public var pausedSteps = 0
  /// Nodes expanded by the controller's own draft model: controller draft passes.
  public var localExpansions = 0
  /// Expansions received from workers.
  public var workerExpansions = 0
  /// Of those, the ones of which some child was verified.
  public var usedWorkerExpansions = 0
  /// Of those, the ones that came too late: their node was pruned or committed before, or lies below one that
  /// was dropped.
  public var lateExpansions = 0
  /// Of those, the ones that would have given their worker more nodes than it was told to hold.
  public var droppedExpansions = 0

  public init() {}

  public var tokensPerStep: Double { steps == 0 ? 0 : Double(tokens) / Double(steps) }
  public var localExpansionsPerToken: Double { tokens == 0 ? 0 : Double(localExpansions) / Double(tokens) }
  /// Share of worker expansions that never helped.
  public var wastedShare: Double {
    workerExpansions == 0 ? 0 : 1 - Double(usedWorkerExpansions) / Double(workerExpansions)
  }
  public var bubbleRate: Double { steps <= 1 ? 0 : Double(bubbles) / Double(steps - 1) }

  public var pausedShare: Double { steps == 0 ? 0 : Double(pausedSteps) / Double(steps) }

  public static func += (a: inout Self, b: Self) {
    a.tokens += b.tokens
    a.steps += b.steps
    a.verifiedNodes += b.verifiedNodes
    a.acceptedRemote += b.acceptedRemote
    a.acceptedLocal += b.acceptedLocal
    a.acceptedLookup += b.acceptedLookup
    a.fromTarget += b.fromTarget
    a.bubbles += b.bubbles
    a.pausedSteps += b.pausedSteps
    a.localExpansions += b.localExpansions
    a.workerExpansions += b.workerExpansions
    a.usedWorkerExpansions += b.usedWorkerExpansions
    a.lateExpansions += b.lateExpansions
    a.droppedExpansions += b.droppedExpansions
  }
}
