/// Whether guesses pay for one session, from what recent steps made of them.
///
/// Tokens of a step against its cost in plain steps, `T(n) / T(1)`: their ratio is the speed against plain
/// decoding. Where it stays below `minGain` the gate closes: workers stop drafting and the target runs alone
/// (guesses from the text, which cost nothing, apart).
/// After a while it opens again to see whether the text has become easier, each time later.
///
/// Steps count only from the first answer on that a drafter gives after an opening, in time or late: before it,
/// drafters still read the prompt or the news is under way, which says nothing of what their guesses are worth.
///
/// Guessing that gains a few percent in this account is no gain: it costs energy at the workers, and where
/// worker and target share anything (memory, a network link, a power budget) it slows the target.
package struct SpeculationGate: Hashable, Sendable {
  /// Speed against plain decoding that keeps the gate open; 0 never closes it.
  package let minGain: Double
  package private(set) var isOpen = true

  /// Sums over the steps since the gate opened, older ones fading.
  private var tokens = 0.0
  private var cost = 0.0
  private var hasGuesses = false
  /// Steps until a closed gate opens.
  private var rest = 0
  private var nextRest = SpeculationGate.firstRest

  /// Weight of a step in the next step's sums: a memory of about ten steps.
  private static let memory = 0.9
  /// What is assumed at first, as if this many steps had been seen.
  private static let priorSteps = 4.0
  private static let firstRest = 16
  private static let longestRest = 128

  package init(minGain: Double) {
    self.minGain = minGain
    assume(gain: 1.5)
  }

  private mutating func assume(gain: Double) {
    tokens = gain * Self.priorSteps
    cost = Self.priorSteps
  }

  /// A drafter has answered the opening.
  package mutating func guessArrived() { hasGuesses = true }

  /// Other drafters than before: what was learned of their guesses says nothing of these.
  package mutating func reset() {
    self = SpeculationGate(minGain: minGain)
  }

  /// - Parameters:
  ///   - tokens: committed by the step
  ///   - relativeCost: what its pass cost in passes over one token
  package mutating func observe(tokens new: Int, relativeCost: Double) {
    guard minGain > 0 else { return }
    guard isOpen else {
      rest -= 1
      if rest <= 0 {
        isOpen = true
        hasGuesses = false
        // Less hope than at the start: a closer look costs a few steps.
        assume(gain: minGain * 1.15)
      }
      return
    }
    guard hasGuesses else { return }
    tokens = Self.memory * tokens + Double(new)
    cost = Self.memory * cost + relativeCost
    if tokens < minGain * cost {
      isOpen = false
      rest = nextRest
      nextRest = min(4 * nextRest, Self.longestRest)
    } else if tokens > 1.5 * minGain * cost {
      nextRest = Self.firstRest
    }
  }
}
