import ConstrainedDecoding
import ModelBackend
import SpeculationCore

/// The grammars that sessions follow, and what all of them need of the vocabulary.
struct SessionGrammars {
  private var sessions: [SessionID: GrammarSession] = [:]
  private var tokens: TokenBytes?

  /// The session's way through its grammar so far, or a new one when the session has none or another.
  mutating func session(
    _ id: SessionID, _ grammar: Grammar, model: LlamaModel, endTokens: [TokenID]
  ) throws -> GrammarSession {
    if let known = sessions[id], known.grammar == grammar { return known }
    let tokens =
      tokens
      ?? TokenBytes(vocabularySize: model.vocabularySize) { model.piece(of: $0, special: false) }
    self.tokens = tokens
    let session: GrammarSession
    do {
      session = try GrammarSession(grammar, tokens: tokens, endTokens: endTokens)
    } catch {
      throw ModelError(.invalidRequest, "\(error)")
    }
    sessions[id] = session
    return session
  }

  mutating func release(_ id: SessionID) { sessions[id] = nil }
}

extension LlamaEngine {
  /// What chooses for each request of a pass.
  ///
  /// - Throws: `ModelError.invalidRequest` for a grammar that cannot be used.
  func treeChoosers(_ requests: [VerificationRequest]) throws -> [TreeChooser] {
    try requests.map { request in
      let grammar = try request.grammar.map {
        try grammars.session(request.session, $0, model: weights, endTokens: model.endTokens)
      }
      return TreeChooser(request, scratch: scratch, grammar: grammar)
    }
  }
}
