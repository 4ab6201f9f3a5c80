import ModelBackend
import SpeculationCore

/// A target that says something else than it found: for checks that this is noticed.
public struct AlteredTarget: TargetModel {
  private let target: any TargetModel
  private let alter: @Sendable ([VerificationRequest], inout [VerificationResult]) -> Void

  public init(
    _ target: any TargetModel,
    alter: @escaping @Sendable ([VerificationRequest], inout [VerificationResult]) -> Void
  ) {
    self.target = target
    self.alter = alter
  }

  public var model: ModelDescription { target.model }
  public var capabilities: EngineCapabilities { target.capabilities }
  public var tokenizer: any Tokenizer { target.tokenizer }
  public var cacheCapacity: CacheCapacity { target.cacheCapacity }

  public func verify(
    _ requests: [VerificationRequest], prefillBudget: Int
  ) async throws -> PassResult<VerificationResult> {
    var pass = try await target.verify(requests, prefillBudget: prefillBudget)
    alter(requests, &pass.results)
    return pass
  }

  public func release(_ session: SessionID) async { await target.release(session) }
  public func discard(_ session: SessionID) async { await target.discard(session) }
  public func shutDown() { target.shutDown() }
  public func settle() async { await target.settle() }
}
