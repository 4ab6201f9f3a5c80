/// How a generation speculates, as people name it.
public enum GenerationMode: String, CaseIterable, Sendable {
  /// The target alone.
  case plain
  /// Draft locally, then verify: what llama.cpp and vLLM do.
  case localSequential = "local-sequential"
  /// Draft locally while the target verifies.
  case localParallel = "local-parallel"
  /// Workers draft, over the network.
  case wan

  public var needsLocalDraft: Bool { self == .localSequential || self == .localParallel }
}
