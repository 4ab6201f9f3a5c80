import SpeculationCore

/// The version of the protocol. Peers of the same major version understand each other: a later minor version
/// only adds fields, which an earlier one ignores.
public struct ProtocolVersion: Hashable, Sendable, CustomStringConvertible {
  public var major: Int
  public var minor: Int

  public init(major: Int, minor: Int) {
    self.major = major
    self.minor = minor
  }

  public static let current = ProtocolVersion(major: 1, minor: 2)

  public var description: String { "\(major).\(minor)" }
}

/// What the two sides must agree on before a token id may cross the network. Two vocabularies are the same
/// when all three values are equal; the exchange does not look inside the hashes.
public struct PeerVocabulary: Hashable, Sendable {
  /// Number of tokens: ids are `0..<size`.
  public var size: Int
  /// Hash over every token's bytes, in id order.
  public var tokensHash: String
  /// Hash over the ids that have a special meaning.
  public var specialTokensHash: String

  public init(size: Int, tokensHash: String, specialTokensHash: String) {
    self.size = size
    self.tokensHash = tokensHash
    self.specialTokensHash = specialTokensHash
  }

  /// How `other` differs, for people; nil when the two are the same.
  func difference(from other: PeerVocabulary) -> String? {
    if size != other.size { return "\(size) tokens against \(other.size)" }
    if tokensHash != other.tokensHash { return "the same size, but other tokens" }
    if specialTokensHash != other.specialTokensHash { return "the same tokens, but other special tokens" }
    return nil
  }
}

/// What a worker says of itself when it attaches.
public struct WorkerIntroduction: Hashable, Sendable {
  /// The operator's name for it.
  public var name: String
  /// Where it runs: "eu-west", "physics-lab".
  public var site: String
  /// Its draft model.
  public var modelName: String
  /// For people: "0.5B Q4_K_M".
  public var modelSummary: String
  /// Sessions that it drafts for at once.
  public var capacity: Int
  /// Nodes that it expands in one forward pass.
  public var passWidth: Int
  /// Measured d(b); empty when unknown.
  public var draftCost: CostCurve
  public var softwareVersion: String
  /// What the worker proved of itself, at a controller that asks; the name above then follows from it. Never
  /// part of what a worker sends.
  public internal(set) var identity: WorkerIdentity?

  public init(
    name: String, site: String = "", modelName: String, modelSummary: String = "", capacity: Int,
    passWidth: Int, draftCost: CostCurve = CostCurve(), softwareVersion: String = "0"
  ) {
    self.name = name
    self.site = site
    self.modelName = modelName
    self.modelSummary = modelSummary
    self.capacity = capacity
    self.passWidth = passWidth
    self.draftCost = draftCost
    self.softwareVersion = softwareVersion
  }

  /// What was proved counts, not what was said.
  mutating func identify(as identity: WorkerIdentity) {
    name = identity.name(claiming: name)
    site = identity.site ?? site
    self.identity = identity
  }
}

/// What a controller says of itself when it accepts a worker.
public struct ControllerIntroduction: Hashable, Sendable {
  public var name: String
  /// Its target model.
  public var modelName: String
  public var modelSummary: String
  public var softwareVersion: String
  /// The controller's name for this attachment.
  public var worker: WorkerID
  /// Time between its pings.
  public var pingInterval: Duration
  /// It counts a worker as gone that was silent for longer.
  public var livenessTimeout: Duration
  /// Candidates that it accepts per expansion.
  public var maximumCandidates: Int
  /// Tokens that its sessions hold at most.
  public var maximumContextLength: Int
}
