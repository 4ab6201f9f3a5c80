import ConstrainedDecoding
import Logging
import ModelBackend
import NIOSSL
import SpeculationCore

/// What a gateway serves, to whom, and within which limits.
public struct GatewayConfiguration: Sendable {
  /// Address to listen on; 0 as the port takes a free one.
  public var host = "127.0.0.1"
  public var port = 8080

  /// Name that clients ask for, and further names for the same model.
  public var modelName: String
  public var aliases: [String] = []
  /// Whether the target's text is the same whatever else it computes, as measured; nil where nobody has looked.
  public var isDeterministic: Bool?

  public var limits = GatewayLimits()

  /// Gives the TLS context for a new connection; nil serves without TLS. It is asked for every connection, so that
  /// certificates can be exchanged while the server runs, and must answer at once.
  public var tlsContext: (@Sendable () throws -> NIOSSLContext)?

  /// Who may use the API; nil lets everyone in, on loopback. Health is always open.
  public var authenticator: (any RequestAuthenticator)?
  /// Whether `/metrics` needs a key, too.
  public var protectsMetrics = true
  /// Everyone may use the API without a key, from other machines and from web pages too.
  public var allowsAnyone = false

  /// Value of `Access-Control-Allow-Origin`; nil leaves browsers' same-origin rule as it is.
  public var allowedOrigin: String?

  /// Whether what a model thinks is told apart from what it answers.
  public var separatesReasoning = true
  /// Variables of the chat template beside its usual ones, as JSON, by name; requests' own win.
  public var templateArguments: [String: String] = [:]
  /// Whether a field that nobody knows is an error, instead of being passed over and named in a header of the answer.
  public var isStrictAboutFields = false

  /// Whether an audit that finds a wrong text ends readiness.
  public var failsAfterWrongAudit = false

  /// Prompts and completions go into the log. Without it, never.
  public var logsPrompts = false
  /// The `user` field of requests goes into the access log.
  public var logsUser = false

  /// After a signal to end: how long streams under way may take to finish before they are ended with an error.
  public var drainTimeout: Duration = .seconds(30)

  /// Makes speculation settings of what a request asks for; throws a sentence for a choice that is not possible
  /// here (no worker is configured, the width is above the engine's room).
  public var speculation: @Sendable (SpeculationChoice) throws(UnavailableChoice) -> SpeculationSettings

  /// Makes a grammar of a wanted format, nil for none. Throws a sentence that says what is wrong with the schema or the
  /// grammar; it is the client's fault and becomes status 400. Called off the cooperative threads: it takes tens of
  /// milliseconds for a large schema.
  public var makeGrammar: @Sendable (ResponseFormat) throws -> GrammarRules?

  public init(
    modelName: String,
    speculation: @escaping @Sendable (SpeculationChoice) throws(UnavailableChoice) -> SpeculationSettings,
    makeGrammar: @escaping @Sendable (ResponseFormat) throws -> GrammarRules? = { try $0.rules() }
  ) {
    self.modelName = modelName
    self.speculation = speculation
    self.makeGrammar = makeGrammar
  }
}

/// Why something that a request asks for is not to be had here.
public struct UnavailableChoice: Error, Sendable, CustomStringConvertible {
  public var description: String

  public init(_ description: String) { self.description = description }
}

/// Sizes, counts and times that bound what one client can cost.
public struct GatewayLimits: Sendable {
  /// Bytes of a request body.
  public var bodyBytes = 4 << 20
  /// Bytes of all header fields, and how many fields.
  public var headerBytes = 32 << 10
  public var headerFields = 100

  /// From the first byte of a request (for a new connection: from the connection) to the end of its header.
  public var headerTimeout: Duration = .seconds(20)
  /// From the end of the header to the end of the body.
  public var bodyTimeout: Duration = .seconds(60)
  /// Between requests of one connection.
  public var idleTimeout: Duration = .seconds(600)
  /// How long a client may take nothing of what is sent to it.
  public var writeTimeout: Duration = .seconds(60)

  /// A comment goes out when a stream was silent for so long.
  public var keepAliveInterval: Duration = .seconds(15)

  /// Choices that one key may have under way at a time; a key may have its own limit.
  public var streamsPerKey = 64
  public var connections = 16_384

  /// Of one request:
  public var messages = 2_048
  public var tools = 128
  public var choices = 16
  public var prompts = 64
  public var stopStrings = 16
  public var stopBytes = 1_024
  public var topLogprobs = 20

  /// Tokens that `/tokenize` and `/detokenize` take, where the model's context has no room for as many.
  public var tokenizedTokens = 65_536

  public init() {}
}

/// Finds out who asks.
public protocol RequestAuthenticator: Sendable {
  /// - Parameter bearerToken: what the request's `Authorization: Bearer` carries
  /// - Returns: nil for a token that is not valid. The time taken must not depend on how much of it is right.
  func identify(bearerToken: [UInt8]) async -> KeyIdentity?
}

/// An API key without its secret.
public struct KeyIdentity: Hashable, Sendable {
  /// What the operator calls it. It appears in the log.
  public var name: String
  /// Choices that may be under way at a time; nil takes the server's limit.
  public var maxStreams: Int?

  public init(name: String, maxStreams: Int? = nil) {
    self.name = name
    self.maxStreams = maxStreams
  }
}

/// What a request's `speculation` field asks for.
public struct SpeculationChoice: Hashable, Sendable {
  public enum Mode: String, CaseIterable, Sendable {
    /// As the server is set up.
    case auto
    /// The target alone.
    case off
    /// Workers draft.
    case wan
    /// The controller's own draft model drafts.
    case local
  }

  public var mode: Mode
  /// What a local draft pass costs, in milliseconds per token it is expected to save; nil takes the server's.
  public var price: Double?
  /// Guesses that one target pass may check; nil leaves it to the measured cost.
  public var width: Int?

  public init(mode: Mode = .auto, price: Double? = nil, width: Int? = nil) {
    self.mode = mode
    self.price = price
    self.width = width
  }
}
