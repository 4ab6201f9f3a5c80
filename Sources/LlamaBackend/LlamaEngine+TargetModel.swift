import ModelBackend
import SpeculationCore

extension LlamaEngine: TargetModel {
  public func verify(
    _ requests: [VerificationRequest], prefillBudget: Int
  ) throws -> PassResult<VerificationResult> {
    let start = ContinuousClock.now
    var works: [SessionWork] = []
    // The first result of each request, and the request of each result.
    var first: [Int] = []
    var requestOf: [Int] = []
    var seen: Set<SessionID> = []
    for (index, request) in requests.enumerated() {
      try check(request, &seen)
      let root = requestOf.count
      first.append(root)
      works.append(
        SessionWork(
          session: request.session, prefix: request.prefix, tokens: request.draft.tokens,
          parents: request.draft.parents.map(Int.init),
          owners: request.draft.tokens.indices.map { [root + 1 + $0] }, rootOwners: [root],
          readsAnew: request.readsAnew))
      requestOf += Array(repeating: index, count: request.draft.count + 1)
    }
    let choosers = try treeChoosers(requests)
    let pass = try run(
      works, keepsGuesses: false, prefillBudget: prefillBudget, results: requestOf.count
    ) { owner, position, logits in
      let index = requestOf[owner]
      return try choosers[index].choose(after: owner - first[index] - 1, position: position, logits: logits)
    }
    let results = try requests.enumerated().map { index, request in
      let choices = pass.results[first[index]..<(first[index] + request.draft.count + 1)].compactMap { $0 }
      // None at all where the budget cut the prefix off.
      guard choices.isEmpty || choices.count == request.draft.count + 1 else { throw LlamaEngine.incomplete }
      return VerificationResult(session: request.session, choices: choices, reusedPrefix: pass.reused[index])
    }
    return PassResult(results: results, duration: ContinuousClock.now - start, tokens: pass.tokens)
  }

  private func check(_ request: VerificationRequest, _ seen: inout Set<SessionID>) throws {
    if !seen.insert(request.session).inserted {
      throw ModelError(.invalidRequest, "\(request.session) is twice in one pass", hint: nil)
    }
    for (index, parent) in request.draft.parents.enumerated() where parent < -1 || Int(parent) >= index {
      throw ModelError(
        .invalidRequest, "node \(index) of the draft of \(request.session) comes before its parent \(parent)",
        hint: nil)
    }
    if let problem = TreeChooser.problem(with: request) {
      throw ModelError(.invalidRequest, problem, hint: nil)
    }
  }

  static var incomplete: ModelError {
    ModelError(.engineFailed, "a pass left a result out", hint: "this is a bug; please report it")
  }
}
