import ConstrainedDecoding
import ModelBackend
import SpeculationCore

/// How an answer was to be decided, beside its text.
public struct AuditedRequest: Sendable {
  public var sampling: SamplingSettings
  /// What the answer had to follow.
  public var grammar: Grammar?

  public init(sampling: SamplingSettings = .greedy, grammar: Grammar? = nil) {
    self.sampling = sampling
    self.grammar = grammar
  }
}

/// Answers that the target decides once more, alone.
extension ControllerNode {
  func perform(_ action: ServingMachine.AuditAction) {
    switch action {
    case .keep(let id):
      guard let output = outputs[id] else { return }
      audited[id] = AuditedRequest(sampling: output.sampling, grammar: output.grammar)
    case .pass(let pass): verify(pass)
    case .end(let session):
      targetQueue.enqueue(for: self) { [target] in
        await target.discard(session)
      } answered: { _, _ in
      }
    case .found(let finding):
      let request = audited.removeValue(forKey: finding.answer) ?? AuditedRequest()
      observer?.observe(.audited(finding, request, at: MonotonicClock.now()))
      if case .different(let difference) = finding.outcome {
        log.error(
          "an audit found another text",
          metadata: [
            "session": "\(finding.answer)", "token": "\(difference.index)", "given": "\(difference.given)",
            "target_alone": "\(difference.chosen)", "margin": "\(difference.margin)",
          ])
      }
    }
  }

  private func verify(_ pass: AuditPass) {
    let kept = audited[pass.answer] ?? AuditedRequest()
    let chain = Array(pass.expected.dropLast())
    let request = VerificationRequest(
      session: pass.session, prefix: pass.prefix,
      draft: DraftTree(tokens: chain, parents: (0..<Int32(chain.count)).map { $0 - 1 }),
      sampling: kept.sampling, grammar: kept.grammar, readsAnew: true)
    targetQueue.enqueue(for: self) { [target] in
      await Result { try await target.verify([request], prefillBudget: pass.prefillBudget) }
    } answered: { node, result in
      switch result {
      case .success(let passed):
        let choices = passed.results.first?.choices ?? []
        let verdicts = choices.map { SessionMachine.Verdict(token: $0.token, margin: $0.margin) }
        node.tell(.auditEnded(AuditReport(session: pass.session, verdicts: verdicts)))
      case .failure(let error):
        node.tell(.auditEnded(AuditReport(session: pass.session, verdicts: [], failure: "\(error)")))
      }
    }
  }
}
