import ConstrainedDecoding
import SpeculationCore

/// Chooses after the nodes of one verification request, with everything that the request asks for: biases,
/// penalties, a grammar, log-probabilities.
///
/// Each choice is a pure function of the logits, the request's settings and the text before the position: the
/// prefix and the path down to the node. So it is the same whether the text was guessed or decoded one token at a
/// time. Without any of the above it is `TokenChooser.choose` and costs no more.
public final class TreeChooser {
  private let request: VerificationRequest
  private let scratch: LogitScratch
  private let grammar: GrammarSession?
  private let isPlain: Bool
  /// Of the prefix; made when first needed.
  private var counts: TokenCounts?
  /// The grammar's state after the root and after each node; made when first needed.
  private var states: [GrammarSession.State?] = []

  /// - Parameters:
  ///   - scratch: may be shared by the choosers of a pass
  ///   - grammar: the state of the request's session, where the request has a grammar
  public init(_ request: VerificationRequest, scratch: LogitScratch, grammar: GrammarSession?) {
    self.request = request
    self.scratch = scratch
    self.grammar = grammar
    isPlain = request.sampling.adjustments == nil && grammar == nil && request.logprobs == nil
  }

  /// What is wrong with the parts of a request that this looks at, as a sentence; nil when they are valid.
  public static func problem(with request: VerificationRequest) -> String? {
    if let problem = request.sampling.problem { return problem }
    if let count = request.logprobs, !(0...TokenLogprobs.maxTop).contains(count) {
      return "between 0 and \(TokenLogprobs.maxTop) log-probabilities can be asked for, not \(count)"
    }
    if let grammar = request.grammar, !(0...request.prefix.count).contains(grammar.promptLength) {
      return
        "a prompt of \(grammar.promptLength) tokens is not within the \(request.prefix.count) tokens so far"
    }
    return nil
  }

  /// - Parameters:
  ///   - node: index in the request's draft tree, or -1 for the root
  ///   - position: index, in the session's whole token sequence, of the token being chosen
  /// - Throws: `ModelError.engineFailed` when a logit is NaN or infinite.
  public func choose(
    after node: Int, position: Int, logits: UnsafeBufferPointer<Float>
  ) throws -> TargetChoice {
    if isPlain { return try TokenChooser.choose(logits, settings: request.sampling, position: position) }
    var choice: TargetChoice
    if let grammar {
      choice = try chosen(by: grammar, after: node, position: position, logits: logits)
    } else {
      choice = try TokenChooser.choose(
        adjusted(logits, after: node), settings: request.sampling, position: position)
    }
    if let count = request.logprobs {
      choice.logprobs = try TokenChooser.logprobs(
        logits, chosen: choice.token, top: count, position: position)
    }
    return choice
  }

  private func chosen(
    by grammar: GrammarSession, after node: Int, position: Int, logits: UnsafeBufferPointer<Float>
  ) throws -> TargetChoice {
    // Below a token that the grammar forbids nothing is ever chosen.
    guard let state = state(after: node, grammar) else { return Self.ending(grammar) }
    let row = adjusted(logits, after: node)
    let free = try TokenChooser.choose(row, settings: request.sampling, position: position)
    if grammar.allows(free.token, in: state) { return free }
    let allowed = grammar.allowed(in: state)
    if allowed.isEmpty { return Self.ending(grammar) }
    var choice = try TokenChooser.choose(
      scratch.masked(row, allowed: allowed), settings: request.sampling, position: position)
    // Where it stands is decided twice: for the token that is forbidden, and among the others.
    choice.margin = min(choice.margin, free.margin)
    return choice
  }

  /// The choice where nothing is allowed.
  private static func ending(_ grammar: GrammarSession) -> TargetChoice {
    TargetChoice(token: grammar.endToken, margin: .infinity)
  }

  private func adjusted(
    _ logits: UnsafeBufferPointer<Float>, after node: Int
  ) -> UnsafeBufferPointer<Float> {
    scratch.adjusted(
      logits, settings: request.sampling, prefix: request.prefix, path: path(to: node), counts: &counts)
  }

  /// Tokens from below the root down to the node.
  private func path(to node: Int) -> [TokenID] {
    var path: [TokenID] = []
    var at = node
    while at >= 0 {
      path.append(request.draft.tokens[at])
      at = Int(request.draft.parents[at])
    }
    path.reverse()
    return path
  }

  /// nil where the grammar forbids the text. Parents precede their children, so one sweep gives all.
  private func state(after node: Int, _ grammar: GrammarSession) -> GrammarSession.State? {
    if states.isEmpty {
      states.reserveCapacity(request.draft.count + 1)
      states.append(grammar.state(after: request.prefix))
      for index in request.draft.tokens.indices {
        let above = states[Int(request.draft.parents[index]) + 1]
        states.append(above.flatMap { grammar.state(after: request.draft.tokens[index], in: $0) })
      }
    }
    return states[node + 1]
  }
}
