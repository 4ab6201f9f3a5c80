/// Something that must never happen did.
public struct BrokenRule: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of rule; a smaller plan counts as the same failure when it breaks the same kind.
  public enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
    /// The text is not what the target alone writes, or a position is committed twice or not at all.
    case text
    /// A step commits something else than its verdicts say, or names a wrong source.
    case commit
    /// A verification set that makes no sense.
    case verification
    /// A local draft pass that makes no sense, or was not asked for.
    case localDraft
    /// A worker's pass that makes no sense.
    case workerPass
    /// A controller tells a worker something that is not so.
    case controllerMessage
    /// A worker tells a controller something that is not so.
    case workerMessage
    /// A breach of the protocol passed, or what is none was taken for one.
    case protocolRule
    /// Controller and worker disagree on what both have heard.
    case mirror
    /// A machine's own account of itself contradicts itself. Looked at last, so that what is found by it is
    /// what no other check has seen.
    case invariant
    /// More nodes, ids, sessions or steps than allowed.
    case bounds
    /// A session waits for something that it must not wait for, or a worker rests with work to do.
    case waiting
    /// A session does not end, or ends with a wrong reason, or something of it is left over.
    case ending
    /// Cells are given away that are not free, or are never freed.
    case cells
    /// A request is refused, admitted or made to wait out of turn; a pass or a placement of who may not be there.
    case serving
    /// Statistics contradict what happened.
    case counts
  }

  public var kind: Kind
  public var description: String

  public init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
  }
}
