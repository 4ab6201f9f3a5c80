import SpeculationCore
import Testing

@Suite struct SpeculationGateTests {
  /// Steps until the gate changes.
  private func steps(
    _ gate: inout SpeculationGate, tokens: Int, cost: Double, limit: Int = 1000
  ) -> Int? {
    let before = gate.isOpen
    for step in 1...limit {
      gate.guessArrived()
      gate.observe(tokens: tokens, relativeCost: cost)
      if gate.isOpen != before { return step }
    }
    return nil
  }

  @Test func staysOpenWhileGuessesPay() {
    var gate = SpeculationGate(minGain: 1.1)
    #expect(steps(&gate, tokens: 3, cost: 1.5) == nil)
  }

  @Test func closesSoonOnUselessGuessesAndLooksAgainEverLater() throws {
    var gate = SpeculationGate(minGain: 1.1)
    let first = try #require(steps(&gate, tokens: 1, cost: 1))
    #expect((5...15).contains(first))
    #expect(steps(&gate, tokens: 1, cost: 1) == 16)
    // A second look is shorter than the first.
    #expect(try #require(steps(&gate, tokens: 1, cost: 1)) < first)
    #expect(steps(&gate, tokens: 1, cost: 1) == 64)
    _ = steps(&gate, tokens: 1, cost: 1)
    #expect(steps(&gate, tokens: 1, cost: 1) == 128)
    _ = steps(&gate, tokens: 1, cost: 1)
    #expect(steps(&gate, tokens: 1, cost: 1) == 128)
  }

  @Test func aGoodStretchMakesItPatientAgain() throws {
    var gate = SpeculationGate(minGain: 1.1)
    for _ in 0..<3 { _ = steps(&gate, tokens: 1, cost: 1) }
    _ = steps(&gate, tokens: 1, cost: 1)
    #expect(gate.isOpen)
    #expect(steps(&gate, tokens: 4, cost: 1.5, limit: 100) == nil)
    _ = try #require(steps(&gate, tokens: 1, cost: 1.2))
    #expect(steps(&gate, tokens: 1, cost: 1) == 16)
  }

  @Test func costsCountAsMuchAsTokens() {
    var gate = SpeculationGate(minGain: 1.1)
    #expect(steps(&gate, tokens: 2, cost: 2.1) != nil)
  }

  /// While a worker reads a long prompt nothing is known of its guesses.
  @Test func waitsForTheFirstGuess() throws {
    var gate = SpeculationGate(minGain: 1.1)
    for _ in 0..<100 { gate.observe(tokens: 1, relativeCost: 1) }
    #expect(gate.isOpen)
    #expect(steps(&gate, tokens: 4, cost: 1.5, limit: 50) == nil)
  }

  @Test func otherDraftersBeginAnew() throws {
    var gate = SpeculationGate(minGain: 1.1)
    let first = try #require(steps(&gate, tokens: 1, cost: 1))
    for _ in 0..<3 { _ = steps(&gate, tokens: 1, cost: 1) }
    gate.reset()
    #expect(gate.isOpen)
    #expect(steps(&gate, tokens: 1, cost: 1) == first)
    #expect(steps(&gate, tokens: 1, cost: 1) == 16)
  }

  @Test func zeroNeverCloses() {
    var gate = SpeculationGate(minGain: 0)
    #expect(steps(&gate, tokens: 1, cost: 50) == nil)
  }

  /// In a stretch of text without use, at most a fifth of the steps is spent on looking.
  @Test func looksSeldom() {
    var gate = SpeculationGate(minGain: 1.1)
    var open = 0
    for _ in 0..<500 {
      gate.guessArrived()
      gate.observe(tokens: 1, relativeCost: 1.2)
      if gate.isOpen { open += 1 }
    }
    #expect(open < 100 && open > 10)
  }
}
