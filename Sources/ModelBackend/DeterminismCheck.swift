import SpeculationCore

/// What a comparison of passes of different shapes found: the same text, read and continued in several ways.
public struct DeterminismReport: Hashable, Sendable {
  /// One way, compared with one token a pass.
  public struct Shape: Hashable, Sendable {
    /// For people: "all at once", "beside 15 others".
    public var name: String
    /// Positions compared, and those where anything was not the same to the bit: the choice, its margin, the
    /// log-probabilities.
    public var positions: Int
    public var differing: Int
    /// Of those, the ones where another token was chosen.
    public var choices: Int
    /// The largest difference of a log-probability or a margin, in nats.
    public var largest: Float

    /// For people.
    public var verdict: String {
      if differing == 0 { return "the same, to the bit" }
      let others = choices == 0 ? "" : ", \(choices) other choices"
      return "\(differing) of \(positions) differ, by up to \(largest) nats\(others)"
    }
  }

  public var shapes: [Shape]

  public var isDeterministic: Bool { shapes.allSatisfy { $0.differing == 0 } }
  /// The largest difference of all shapes, in nats.
  public var largest: Float { shapes.map(\.largest).max() ?? 0 }

  /// For people, in one sentence.
  public var verdict: String {
    if isDeterministic {
      return "texts do not depend on what else is computed: passes of all shapes agree to the bit"
    }
    let names = shapes.filter { $0.differing > 0 }.map(\.name)
    return "texts may depend on what else is computed: passes differ by up to \(largest) nats"
      + " (\(names.joined(separator: "; ")))"
  }
}

extension TargetModel {
  /// Compares, to the bit, what this engine says of a text in passes of different shapes. Nothing stays cached.
  ///
  /// - Parameters:
  ///   - prompt: tokens that are read before the comparison begins, at least 4
  ///   - positions: tokens after it that are compared, at least 2
  ///   - others: texts beside it in the largest pass, at most; fewer where the cache has no room
  ///   - progress: hears what is being compared
  /// - Throws: `ModelError`
  public func checkDeterminism(
    prompt: Int = 12, positions: Int = 4, others: Int = 3, progress: (String) -> Void = { _ in }
  ) async throws -> DeterminismReport {
    let room = min(model.contextLength, cacheCapacity.tokens / 2)
    let count = max(6, min(prompt + positions, room))
    let check = ShapeCheck(
      engine: self, text: CostMeasurement.text(count, of: model),
      positions: max(2, min(positions, count - 4)),
      others: max(1, min(others, cacheCapacity.branches - 2, cacheCapacity.tokens / count - 2)))
    do {
      let report = try await check.run(progress)
      await check.forget()
      return report
    } catch {
      await check.forget()
      throw error
    }
  }
}

/// Continues one text in several ways. Positions are compared by everything that an engine says of them.
private struct ShapeCheck<Target: TargetModel> {
  let engine: Target
  /// The text, and how many of its last tokens are compared.
  let text: [TokenID]
  let positions: Int
  let others: Int

  private var start: Int { text.count - positions }
  private static var first: UInt64 { .max - 64 }

  private func session(_ index: Int) -> SessionID { SessionID(Self.first + UInt64(index)) }

  func forget() async {
    for index in 0...others { await engine.discard(session(index)) }
  }

  func run(_ progress: (String) -> Void) async throws -> DeterminismReport {
    progress("one token a pass")
    let base = try await inPieces(of: 1)
    var report = DeterminismReport(shapes: [])
    func compare(_ name: String, _ body: () async throws -> [TargetChoice]) async throws {
      await forget()
      progress(name)
      report.shapes.append(Self.compare(name, base, try await body()))
    }
    try await compare("the same again") { try await inPieces(of: 1) }
    try await compare("all at once") { try await inPieces(of: positions) }
    try await compare("in pieces of 3, with wrong guesses") { try await inPieces(of: 3, wrong: 2) }
    try await compare("prompt read in pieces of 5") { try await inPieces(of: 1, prefillBudget: 5) }
    try await compare("cells in another order") { try await outOfOrder() }
    try await compare("taken from another's cache") { try await shared() }
    for others in Set([1, others]).sorted() {
      try await compare("beside \(others) other\(others == 1 ? "" : "s")") { try await beside(others) }
    }
    return report
  }

  /// The choices after the tokens from `start - 1` on, `size` positions a pass.
  ///
  /// - Parameter wrong: guesses beside the right ones, which are not in the text
  private func inPieces(
    of size: Int, wrong: Int = 0, prefillBudget: Int = .max, from first: Int? = nil
  ) async throws -> [TargetChoice] {
    var choices: [TargetChoice] = []
    var root = first ?? start - 1
    while root < text.count - 1 {
      let chain = Array(text[(root + 1)..<min(root + size, text.count - 1)])
      var draft = DraftTree(tokens: chain, parents: (0..<Int32(chain.count)).map { $0 - 1 })
      for index in 0..<wrong {
        draft.tokens.append(
          (text[root + 1] &+ TokenID(index) &+ 1) % TokenID(clamping: engine.model.vocabulary.size))
        draft.parents.append(-1)
      }
      choices += try await verify(
        [request(0, text.prefix(root + 1), draft)], prefillBudget: prefillBudget)[0].prefix(chain.count + 1)
      root += chain.count + 1
    }
    return choices
  }

  /// Another text lies in front of the prompt's first half in the cache, and goes before the rest is read.
  private func outOfOrder() async throws -> [TargetChoice] {
    _ = try await verify([request(1, other(1, text.count / 2))])
    _ = try await verify([request(0, text.prefix(start / 2))])
    await engine.discard(session(1))
    return try await inPieces(of: 2)
  }

  /// Another session with the same prompt is released before.
  private func shared() async throws -> [TargetChoice] {
    _ = try await verify([request(1, text.prefix(start))])
    await engine.release(session(1))
    return try await inPieces(of: 1)
  }

  private func beside(_ others: Int) async throws -> [TargetChoice] {
    var choices: [TargetChoice] = []
    for root in (start - 1)..<(text.count - 1) {
      let own = request(0, text.prefix(root + 1))
      var all = (1...others).map { request($0, other($0, root + 1)) }
      let place = all.count / 2
      all.insert(own, at: place)
      choices += try await verify(all)[place]
    }
    return choices
  }

  private func other(_ index: Int, _ count: Int) -> ArraySlice<TokenID> {
    CostMeasurement.text(count, of: engine.model, step: 7919 + TokenID(index) * 104_729)[...]
  }

  private func request(
    _ index: Int, _ prefix: ArraySlice<TokenID>, _ draft: DraftTree = DraftTree()
  ) -> VerificationRequest {
    VerificationRequest(
      session: session(index), prefix: Array(prefix), draft: draft, sampling: .greedy,
      logprobs: engine.capabilities.logprobs ? 20 : nil)
  }

  private func verify(
    _ requests: [VerificationRequest], prefillBudget: Int = .max
  ) async throws -> [[TargetChoice]] {
    // A pass that the budget cuts off reads at least something.
    for _ in 0...text.count {
      try Task.checkCancellation()
      let results = try await engine.verify(requests, prefillBudget: prefillBudget).results
      if results.allSatisfy({ !$0.choices.isEmpty }) { return results.map(\.choices) }
    }
    throw ModelError(
      .engineFailed, "the engine does not finish reading \(text.count) tokens in pieces of \(prefillBudget)",
      hint: nil)
  }

  private static func compare(
    _ name: String, _ base: [TargetChoice], _ other: [TargetChoice]
  ) -> DeterminismReport.Shape {
    var shape = DeterminismReport.Shape(
      name: name, positions: base.count, differing: 0, choices: 0, largest: 0)
    for (a, b) in zip(base, other) where a != b {
      shape.differing += 1
      if a.token != b.token { shape.choices += 1 }
      shape.largest = max(shape.largest, difference(a, b))
    }
    return shape
  }

  private static func difference(_ a: TargetChoice, _ b: TargetChoice) -> Float {
    var largest = a.token == b.token ? abs(a.margin - b.margin) : max(abs(a.margin), abs(b.margin))
    let known = Dictionary(
      (a.logprobs?.top ?? []).map { ($0.token, $0.logprob) }, uniquingKeysWith: { first, _ in first })
    for entry in b.logprobs?.top ?? [] {
      if let logprob = known[entry.token] { largest = max(largest, abs(entry.logprob - logprob)) }
    }
    return largest
  }
}
