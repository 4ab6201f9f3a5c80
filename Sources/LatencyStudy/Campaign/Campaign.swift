import Crypto
import Foundation
import StrictYAML
import StudyAnalysis

/// What is measured: which targets, from which sources, how often, with what. One file for all sources.
public struct Campaign: Sendable, Hashable {
  public struct Source: Sendable, Hashable {
    public var region: Region
    /// An address of this machine to connect from, where it has several.
    public var localAddress: String?
    public var name: String { region.name }
  }

  public struct Prompt: Sendable, Hashable {
    public var text: String
    /// Tokens that are asked for.
    public var maxTokens: Int
    public var temperature: Double
    /// Whether each prompt begins with a text that no other has, so that no cache of prompts answers.
    public var nonce: Bool
  }

  public struct Limits: Sendable, Hashable {
    /// Probes at once.
    public var concurrency: Int
    /// Each source has its own: one file knows nothing of the others.
    public var maxRequests: Int?
    public var maxUSD: Double?

    public init(concurrency: Int = 32, maxRequests: Int? = nil, maxUSD: Double? = nil) {
      self.concurrency = concurrency
      self.maxRequests = maxRequests
      self.maxUSD = maxUSD
    }
  }

  public var name: String
  /// Of campaign time.
  public var days: Double
  /// Between two probes of one pair: the length of a slot.
  public var every: Duration
  public var prompt: Prompt
  /// From the start of a probe to its end.
  public var timeout: Duration
  /// Whether a second request follows on the same connection.
  public var warm: Bool
  public var sources: [Source]
  public var targets: [Target]
  public var limits: Limits
  /// Where an emulator tells its time; nil for the time of this world.
  public var clock: String?
  /// Keys sorted, comments gone: what is stored, and read again.
  public var text: String
  /// Of everything but the limits: two stores belong together if it is the same.
  public var fingerprint: String

  public func source(named name: String) -> Source? { sources.first { $0.name == name } }

  /// One probe of each pair in this many slots.
  public var slots: Int { max(1, Int((days * 86_400 / every.inSeconds).rounded())) }

  /// The most that one source may send: a request for each target and slot, twice with `warm`.
  public var requestsPerSource: Int { slots * targets.count * (warm ? 2 : 1) }

  /// USD of one request that is answered in full, at most. A token is taken to be at least a byte of the prompt long,
  /// which no tokenizer undercuts by much; what is stored later is what the server counted.
  public func highestCost(of target: Target) -> Double {
    target.price.cost(inputTokens: prompt.text.utf8.count + 64, outputTokens: prompt.maxTokens)
  }

  public var highestCostPerSource: Double {
    targets.reduce(0) { $0 + highestCost(of: $1) } * Double(slots * (warm ? 2 : 1))
  }
}

extension Duration {
  package var inSeconds: Double {
    let (seconds, attoseconds) = components
    return Double(seconds) + Double(attoseconds) * 1e-18
  }
}
