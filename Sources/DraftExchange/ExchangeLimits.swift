import SpeculationCore

/// Hard limits on everything that crosses the exchange, and on everything it queues.
///
/// A received value beyond a limit is a ``FieldViolation``: the frame that carries it is dropped whole and
/// the peer is disconnected with the reason. A queue beyond its limit disconnects the peer that is too slow.
public struct ExchangeLimits: Hashable, Sendable {
  /// Bytes of one gRPC message from a controller, before framing. Must hold an opening of
  /// `maximumContextLength` tokens, at up to four bytes each.
  public var maximumControllerMessageBytes = 8 << 20
  /// Bytes of one gRPC message from a worker, before framing.
  public var maximumWorkerMessageBytes = 1 << 20
  /// UTF-8 bytes of a name (worker, site, controller, model, version). Control characters are not allowed.
  public var maximumNameBytes = 256
  /// UTF-8 bytes of a reason that a person reads. Control characters are not allowed.
  public var maximumReasonBytes = 1024
  /// Tokens of one session. Positions are below it.
  public var maximumContextLength = 1 << 20
  /// Candidates of one expansion.
  public var maximumCandidates = 64
  /// Nodes that a controller may allow a worker for one session, and that an expansion may give up.
  public var maximumNodes = 1 << 16
  /// Biased tokens of one session's sampling settings.
  public var maximumBiases = LogitAdjustments.maxBiases
  /// Tokens of one commit, which has at least one.
  public var maximumCommitTokens = 4096
  /// Expansions, declines, openings, commits and closes in one frame, all together.
  public var maximumMessagesPerFrame = 4096
  /// Ids of announced nodes are 1...this.
  public var maximumNodeID: RemoteNodeID = 1 << 48
  /// Tokens of a vocabulary.
  public var maximumVocabulary = 1 << 24
  /// Sessions and nodes per pass that a worker may announce, each.
  public var maximumCapacity = 1 << 16
  /// Messages that wait for a peer.
  public var maximumQueuedMessages = 1024
  /// Estimated encoded bytes that wait for a peer.
  public var maximumQueuedBytes = 16 << 20
  /// Pings that a worker may leave unanswered: more than wait behind a long opening on a slow link.
  public var maximumUnansweredPings = 256
  /// Workers attached at once.
  public var maximumWorkers = 1024
  /// TCP connections open at once, attached or not; one more is closed as soon as it is accepted.
  public var maximumConnections = 2048
  /// Time for each part of the handshake: at a controller from the TCP connection to the call, and from there
  /// to the hello; at a worker from dialling to the welcome.
  public var handshakeTimeout: Duration = .seconds(10)

  public init() {}

  /// The first thing wrong with these limits, as a sentence that names the limit; nil when they are valid.
  public var problem: String? {
    let counts: [(String, Int)] = [
      ("maximumControllerMessageBytes", maximumControllerMessageBytes),
      ("maximumWorkerMessageBytes", maximumWorkerMessageBytes), ("maximumNameBytes", maximumNameBytes),
      ("maximumReasonBytes", maximumReasonBytes), ("maximumContextLength", maximumContextLength),
      ("maximumCandidates", maximumCandidates), ("maximumNodes", maximumNodes),
      ("maximumBiases", maximumBiases),
      ("maximumCommitTokens", maximumCommitTokens),
      ("maximumMessagesPerFrame", maximumMessagesPerFrame), ("maximumVocabulary", maximumVocabulary),
      ("maximumCapacity", maximumCapacity), ("maximumQueuedMessages", maximumQueuedMessages),
      ("maximumQueuedBytes", maximumQueuedBytes), ("maximumUnansweredPings", maximumUnansweredPings),
      ("maximumWorkers", maximumWorkers), ("maximumConnections", maximumConnections),
    ]
    for (name, value) in counts where value < 1 || value > Int(Int32.max) {
      return "limit \(name) must be between 1 and \(Int32.max), not \(value)"
    }
    if maximumNodeID < 1 || maximumNodeID > 1 << 62 {
      return "limit maximumNodeID must be between 1 and 2^62, not \(maximumNodeID)"
    }
    if handshakeTimeout <= .zero {
      return "limit handshakeTimeout must be above zero, not \(handshakeTimeout)"
    }
    return nil
  }
}
