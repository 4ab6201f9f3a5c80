import SpeculationCore

/// One session's way through its grammar: the state after the committed text, and from there along guesses.
///
/// Not `Sendable`: it belongs to the engine whose passes it is used in.
public final class GrammarSession {
  /// After some text that the grammar allows. Valid until the next call of `state(after:)` with a prefix.
  package struct State {
    fileprivate enum Place {
      /// The rules do not hold yet.
      case free(FreeText.State)
      case bound(GrammarMatcher.StateNumber)
    }

    fileprivate var place: Place
  }

  /// What looking at the whole vocabulary may cost, in threads times bytes. A state with more to look at leaves
  /// the rest out, so that a grammar made for that cannot hold up an engine.
  private static let maxWork = 2_000_000

  public let grammar: Grammar
  private let matcher: GrammarMatcher
  private let tokens: TokenBytes
  private let endTokens: [TokenID]
  private let freeText: FreeText?
  /// The generated text that `current` is the state of; nil is a forbidden text.
  private var text: [TokenID] = []
  private var current: State?

  /// - Parameters:
  ///   - endTokens: tokens that end a text; allowed where the grammar is complete
  /// - Throws: `ConstraintError` for a grammar that cannot be used.
  public init(_ grammar: Grammar, tokens: TokenBytes, endTokens: [TokenID]) throws {
    self.grammar = grammar
    self.tokens = tokens
    self.endTokens = endTokens
    matcher = try GrammarMatcher(grammar.rules.program)
    freeText = try grammar.trigger.map(FreeText.init)
    current = start
  }

  /// Of the empty text.
  private var start: State {
    if let freeText { return State(place: .free(freeText.start)) }
    // A beginning that the rules do not know is none.
    let begun = grammar.beginning.isEmpty ? nil : bound(Array(grammar.beginning.utf8))
    return begun ?? State(place: .bound(matcher.start))
  }

  private func bound(
    _ bytes: some Sequence<UInt8>, from start: GrammarMatcher.StateNumber? = nil
  ) -> State? {
    var number = start ?? matcher.start
    for byte in bytes {
      guard let next = matcher.next(number, byte) else { return nil }
      number = next
    }
    return State(place: .bound(number))
  }

  private func piece(_ token: TokenID) -> ArraySlice<UInt8> {
    grammar.shownTokens[token].map { $0[...] } ?? tokens.piece(token)
  }

  /// Where nothing is allowed, the text ends. (A grammar can come to a place from where no token leads on.)
  public var endToken: TokenID { endTokens.first ?? 0 }

  /// The state after the generated part of a prefix; nil when the grammar forbids it.
  ///
  /// O(prefix) for the comparison with what was seen before, and one step for each new byte.
  package func state(after prefix: [TokenID]) -> State? {
    let generated = prefix.dropFirst(grammar.promptLength)
    if matcher.forgetIfLarge() || !generated.starts(with: text) {
      text = []
      current = start
    }
    for token in generated.dropFirst(text.count) {
      current = current.flatMap { state(after: token, in: $0) }
      text.append(token)
    }
    return current
  }

  /// One token further; nil when the grammar forbids it, and after an end token.
  package func state(after token: TokenID, in state: State) -> State? {
    if endTokens.contains(token) { return nil }
    let piece = piece(token)
    switch state.place {
    case .bound(let number): return piece.isEmpty ? nil : bound(piece, from: number)
    case .free(let free):
      guard let freeText, !piece.isEmpty else { return state }
      switch freeText.step(free, piece) {
      case .free(let next): return State(place: .free(next))
      case .bound(let begun): return bound(begun)
      }
    }
  }

  /// Whether the text may end here.
  private func isComplete(_ state: State) -> Bool {
    switch state.place {
    case .free: true
    case .bound(let number): matcher.states[Int(number)].isComplete
    }
  }

  package func allows(_ token: TokenID, in state: State) -> Bool {
    endTokens.contains(token) ? isComplete(state) : self.state(after: token, in: state) != nil
  }

  /// Every token that the grammar allows next.
  ///
  /// Tokens are taken in the order of their bytes: what one has in common with the one before is not looked at
  /// again, and what begins with forbidden bytes is passed over.
  package func allowed(in state: State) -> TokenSet {
    var set = TokenSet(vocabularySize: tokens.vocabularySize)
    switch state.place {
    case .free:
      // Asked only where a token is about to begin a call that the rules forbid.
      for token in 0..<TokenID(clamping: tokens.vocabularySize)
      where self.state(after: token, in: state) != nil {
        set.insert(Int(token))
      }
    case .bound(let number):
      insertAllowed(from: number, into: &set)
      for token in grammar.shownTokens.keys where Int(token) < tokens.vocabularySize {
        set.set(Int(token), self.state(after: token, in: state) != nil)
      }
    }
    for token in endTokens where Int(token) < tokens.vocabularySize {
      set.set(Int(token), isComplete(state))
    }
    return set
  }

  private func insertAllowed(from number: GrammarMatcher.StateNumber, into set: inout TokenSet) {
    matcher.scouting {
      // The state after so many bytes of the token before.
      var path = [number]
      var work = 0
      for (index, token) in tokens.sorted.enumerated() {
        let common = Int(tokens.common[index])
        // Shorter than what they have in common: the token before was left at a forbidden byte within it.
        if path.count <= common { continue }
        path.removeSubrange((common + 1)...)
        let piece = tokens.piece(token)
        for byte in piece.dropFirst(common) {
          work += matcher.states[Int(path[path.count - 1])].threads.count
          guard work <= Self.maxWork, let next = matcher.next(path[path.count - 1], byte) else { break }
          path.append(next)
        }
        if path.count == piece.count + 1 { set.insert(Int(token)) }
      }
    }
  }
}
