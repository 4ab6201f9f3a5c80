/// How far a pull or a verification is.
public struct ModelProgress: Sendable, Hashable {
  public enum Phase: String, Sendable, Hashable {
    /// Another process works on the same file.
    case waiting
    case downloading
    /// Joining the parts into one file and checking it.
    case assembling
    /// Computing the SHA-256 of a file that is here.
    case verifying
    /// Converting the weights of another entry.
    case converting
  }

  /// Name of the catalogue entry.
  public var model: String
  public var phase: Phase
  public var bytesDone: Int64
  public var bytesTotal: Int64

  public init(model: String, phase: Phase, bytesDone: Int64, bytesTotal: Int64) {
    self.model = model
    self.phase = phase
    self.bytesDone = bytesDone
    self.bytesTotal = bytesTotal
  }

  /// Called from several threads, several times a second at most.
  public typealias Handler = @Sendable (ModelProgress) -> Void
}
