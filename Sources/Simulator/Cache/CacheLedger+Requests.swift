import SpeculationCore

extension CacheLedger {
  /// One session's part of a pass.
  public struct Request: Hashable, Sendable {
    public var session: SessionID
    /// Every token of the session up to and including the root.
    public var prefix: [TokenID]
    /// Guessed tokens below the root, every parent before its children.
    public private(set) var tokens: [TokenID]
    /// Index of each guess's parent in `tokens`; -1 for a child of the root.
    public private(set) var parents: [Int32]
    /// Whether the model's output after each guess is wanted. Outputs are not kept, so a wanted guess is evaluated
    /// even if it is cached.
    var isWanted: [Bool]
    /// Whether the output after the root is.
    var isRootWanted: Bool
    /// Tokens of the prefix to evaluate at most, leaving the last one; nil where outputs are wanted.
    var readingLimit: Int?

    /// A verification: the outputs after the root and after every guess are wanted.
    public init(session: SessionID, prefix: [TokenID], tokens: [TokenID] = [], parents: [Int32] = []) {
      precondition(tokens.count == parents.count, "a draft tree needs one parent for each token")
      self.session = session
      self.prefix = prefix
      self.tokens = tokens
      self.parents = parents
      isWanted = [Bool](repeating: true, count: tokens.count)
      isRootWanted = true
    }

    /// An expansion of the nodes that `paths` lead to, from below the root; an empty path leads to the root.
    public init(session: SessionID, prefix: [TokenID], expanding paths: [[TokenID]]) {
      self.init(session: session, prefix: prefix)
      isRootWanted = false
      for path in paths { expand(path) }
    }

    /// Reads a piece of a text, up to its last token; no outputs are wanted.
    public init(session: SessionID, reading prefix: [TokenID], limit: Int) {
      self.init(session: session, prefix: prefix)
      isRootWanted = false
      readingLimit = max(0, limit)
    }

    private mutating func expand(_ path: [TokenID]) {
      var at: Int32 = -1
      for token in path {
        if let known = tokens.indices.first(where: { parents[$0] == at && tokens[$0] == token }) {
          at = Int32(known)
        } else {
          tokens.append(token)
          parents.append(at)
          isWanted.append(false)
          at = Int32(tokens.count - 1)
        }
      }
      if at < 0 { isRootWanted = true } else { isWanted[Int(at)] = true }
    }
  }

  /// What a pass did for one request.
  public struct Part: Hashable, Sendable {
    /// Whether the prefix is all evaluated, so that the outputs are there. Otherwise: ask again.
    public var isComplete: Bool
    /// Tokens that were evaluated for it, guesses included.
    public var evaluated: Int
    /// Tokens of the prefix that were taken from another session's cells.
    public var reused: Int

    public init(isComplete: Bool, evaluated: Int, reused: Int) {
      self.isComplete = isComplete
      self.evaluated = evaluated
      self.reused = reused
    }
  }

  /// Why a pass was not done. The cache is as it was before.
  public enum Refusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// A request that makes no sense, whatever is cached; why, as a sentence.
    case invalid(String)
    /// A text that is longer than the context.
    case contextFull(SessionID, tokens: Int, contextLength: Int)
    /// No room for the pass's new tokens beside the cells that open sessions have.
    case cellsFull(needed: Int, used: Int, capacity: Int)
    /// No room for the branches of the pass's sessions beside those of the other open ones.
    case branchesFull(needed: Int, used: Int, capacity: Int)

    public var description: String {
      switch self {
      case .invalid(let problem): problem
      case .contextFull(let session, let tokens, let length):
        "\(session) has \(tokens) tokens, more than the context of \(length)"
      case .cellsFull(let needed, let used, let capacity):
        "the pass needs \(needed) cells, and \(used) of the \(capacity) in the cache are in use"
      case .branchesFull(let needed, let used, let capacity):
        "the pass needs \(needed) branches, and \(used) of the engine's \(capacity) are in use"
      }
    }
  }

  /// - Throws: what is wrong with the requests themselves. O(their tokens).
  func check(_ requests: [Request]) throws(Refusal) {
    var seen: Set<SessionID> = []
    for request in requests {
      if !seen.insert(request.session).inserted {
        throw .invalid("\(request.session) is twice in one pass")
      }
      for (index, parent) in request.parents.enumerated() where parent < -1 || Int(parent) >= index {
        throw .invalid(
          "node \(index) of the draft of \(request.session) comes before its parent \(parent)")
      }
    }
    for request in requests {
      if request.prefix.isEmpty { throw .invalid("\(request.session) has no tokens") }
      if request.prefix.count > limits.contextLength {
        throw .contextFull(
          request.session, tokens: request.prefix.count, contextLength: limits.contextLength)
      }
      if let token = foreignToken(in: request.prefix) ?? foreignToken(in: request.tokens) {
        throw .invalid(
          "token \(token) of \(request.session) is not in the vocabulary of \(limits.vocabularySize) tokens")
      }
    }
  }

  private func foreignToken(in tokens: [TokenID]) -> TokenID? {
    let size = TokenID(clamping: limits.vocabularySize)
    return tokens.first { $0 < 0 || $0 >= size }
  }
}
