import ModelBackend
import SpeculationCore

extension LlamaEngine: DraftModel {
  public func expand(_ requests: [ExpansionRequest]) throws -> PassResult<Distribution> {
    let start = ContinuousClock.now
    var works: [SessionWork] = []
    var index: [SessionID: Int] = [:]
    for (owner, request) in requests.enumerated() {
      if let problem = request.sampling.problem { throw ModelError(.invalidRequest, problem, hint: nil) }
      let work: Int
      if let known = index[request.session] {
        work = known
        if works[work].prefix != request.prefix {
          throw ModelError(
            .invalidRequest, "two requests of \(request.session) in one pass have different prefixes",
            hint: nil)
        }
      } else {
        work = works.count
        index[request.session] = work
        works.append(
          SessionWork(
            session: request.session, prefix: request.prefix, tokens: [], parents: [], owners: [],
            rootOwners: []))
      }
      works[work].add(path: request.path, owner: owner)
    }
    let chooser = ExpansionChooser(requests, scratch: scratch)
    let pass = try run(works, keepsGuesses: true, results: requests.count) { owner, position, logits in
      try chooser.distribution(owner, position: position, logits: logits)
    }
    let results = pass.results.compactMap { $0 }
    guard results.count == requests.count else { throw LlamaEngine.incomplete }
    return PassResult(results: results, duration: ContinuousClock.now - start, tokens: pass.tokens)
  }

  public func read(_ request: ReadingRequest) throws -> PassResult<Int> {
    let start = ContinuousClock.now
    let work = SessionWork(
      session: request.session, prefix: request.tokens, tokens: [], parents: [], owners: [], rootOwners: [],
      readingLimit: max(0, request.limit))
    let pass = try run([work], keepsGuesses: true, results: 0) { _, _, _ in }
    return PassResult(
      results: [sessions[request.session]?.trunk.count ?? 0], duration: ContinuousClock.now - start,
      tokens: pass.tokens)
  }
}

extension SessionWork {
  /// Adds a path from the root, sharing what other paths have in common with it.
  fileprivate mutating func add(path: [TokenID], owner: Int) {
    var at = -1
    for token in path {
      let known = tokens.indices.first { parents[$0] == at && tokens[$0] == token }
      if let known {
        at = known
      } else {
        tokens.append(token)
        parents.append(at)
        owners.append([])
        at = tokens.count - 1
      }
    }
    if at < 0 { rootOwners.append(owner) } else { owners[at].append(owner) }
  }
}
