import ModelBackend
import Simulator
import SpeculationCore
import SplitMix

/// What a conformance check wants of the engine that it is given.
public struct EngineSize: Hashable, Sendable {
  /// Tokens of one session, guesses apart.
  public var contextLength = 96
  /// Tokens over all sessions, guesses included.
  public var cacheTokens = 256
  /// Sessions, and leaves of guesses beyond the first of each.
  public var branches = 8
  public var sharesPrefixes = true

  public init() {}

  /// For answers that are compared: nothing is reused, so that each is computed.
  static let comparison = {
    var size = EngineSize()
    size.sharesPrefixes = false
    return size
  }()
}

/// Makes engines of one kind for conformance checks, which are the same for all kinds.
public struct EngineFixture<Engine>: Sendable {
  /// A new engine with empty caches.
  public var make: @Sendable (EngineSize) async throws -> Engine

  public init(make: @escaping @Sendable (EngineSize) async throws -> Engine) { self.make = make }

  func engine(for size: EngineSize) async throws -> Engine { try await make(size) }

  func engine(_ change: (inout EngineSize) -> Void = { _ in }) async throws -> Engine {
    var size = EngineSize()
    change(&size)
    return try await make(size)
  }
}

/// Fails the check unless the condition holds.
func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
  if !condition { throw CheckFailure(message()) }
}

/// Fails the check unless the call is refused with this code.
@discardableResult
func requireRefusal<Result>(
  _ code: ModelError.Code, _ what: String, isolation: isolated (any Actor)? = #isolation,
  _ call: () async throws -> Result
) async throws -> ModelError {
  do {
    _ = try await call()
  } catch let error as ModelError {
    try require(error.code == code, "\(what): refused with another code: \(error)")
    return error
  }
  throw CheckFailure("\(what): accepted")
}

/// Tokens of an engine's vocabulary that are ordinary ones in real models, too.
struct EngineTexts {
  private let tokens: Range<TokenID>

  init(_ model: ModelDescription) {
    tokens = TokenID(model.vocabulary.size / 16 + 1)..<TokenID(model.vocabulary.size / 2)
  }

  /// A text of its own for each seed: no two begin with the same token.
  func text(_ count: Int, _ seed: UInt64) -> [TokenID] {
    var random = SplitMix64(seed: seed)
    return [token(Int(seed))] + (1..<max(1, count)).map { _ in TokenID.random(in: tokens, using: &random) }
  }

  /// One of the tokens; different ones for different small numbers.
  func token(_ index: Int) -> TokenID { tokens.lowerBound + TokenID(index % tokens.count) }

  /// One of a few tokens, so that paths often meet again.
  func common(_ random: inout SplitMix64) -> TokenID { token(Int.random(in: 0..<4, using: &random)) }

  func tree(_ count: Int, _ random: inout SplitMix64) -> DraftTree {
    DraftTree(
      tokens: (0..<count).map { _ in common(&random) },
      parents: (0..<count).map { Int32.random(in: -1..<Int32($0), using: &random) })
  }

  /// So many leaves below the root.
  func fan(_ leaves: Int) -> DraftTree {
    DraftTree(tokens: (0..<leaves).map(token), parents: [Int32](repeating: -1, count: leaves))
  }
}
