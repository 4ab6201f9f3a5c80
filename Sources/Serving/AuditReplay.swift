import ConstrainedDecoding
import ModelBackend
import SpeculationCore

/// Where a target alone leaves a recorded answer, or its choice at the recorded place.
public struct AuditReplay: Sendable {
  /// Counted from the answer's first token.
  public var index: Int
  public var token: TokenID
  public var margin: Float

  /// Whether this is what the audit found.
  public func repeats(_ record: AuditRecord) -> Bool { index == record.index && token == record.chosen }
}

extension AuditRecord {
  /// What the answer had to follow; nil for any text.
  ///
  /// - Throws: `ConstraintError` for a grammar that is none
  package func rules() throws -> Grammar? {
    guard let text = grammar else { return nil }
    var grammar = Grammar(try GrammarRules(text), promptLength: prompt.count)
    constraint?.apply(to: &grammar)
    return grammar
  }

  /// Decides the answer again, one token a pass, up to the recorded place.
  ///
  /// - Throws: `ModelError`; `ConstraintError` for a grammar that is none
  public func decide(with target: any TargetModel) async throws -> AuditReplay {
    let grammar = try rules()
    let session = SessionID(1)
    for index in 0...self.index {
      let request = VerificationRequest(
        session: session, prefix: prompt + answer[..<index], draft: DraftTree(), sampling: sampling.settings,
        grammar: grammar, readsAnew: true)
      guard let choice = try await target.verify([request]).results.first?.choices.first else {
        throw ModelError(.engineFailed, "the engine decides nothing", hint: nil)
      }
      guard index == self.index || choice.token != answer[index] else { continue }
      await target.discard(session)
      return AuditReplay(index: index, token: choice.token, margin: choice.margin)
    }
    preconditionFailure("an answer without the recorded token")
  }
}
