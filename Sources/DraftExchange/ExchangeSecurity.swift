public import Foundation
public import NIOSSL

/// How a listener protects its connections, and whom it lets in.
public enum ListenerSecurity: Sendable {
  /// Whoever reaches the port may attach, and whoever is on the path can read and change the tokens.
  case plaintext
  case tls(ServerTLS)
}

/// TLS at a controller.
public struct ServerTLS: Sendable {
  /// The context of the next connection. Called for each one, on the listener's thread: it returns what is
  /// ready, so that a renewed certificate is used without a restart. A context whose
  /// `certificateVerification` is not `none` makes the handshake fail without a valid certificate.
  public var context: @Sendable () -> NIOSSLContext
  public var authenticator: any WorkerAuthenticator
  /// How often an attached worker is asked about again; at most this long after being removed it is gone.
  public var recheckInterval: Duration

  public init(
    context: @escaping @Sendable () -> NIOSSLContext, authenticator: any WorkerAuthenticator,
    recheckInterval: Duration = .seconds(1)
  ) {
    self.context = context
    self.authenticator = authenticator
    self.recheckInterval = recheckInterval
  }
}

/// How a worker protects its connection, and how it shows who it is.
public enum ConnectionSecurity: Sendable {
  case plaintext
  case tls(ClientTLS)
}

/// TLS at a worker.
public struct ClientTLS: Sendable {
  /// The context of the next attempt, with the worker's certificate if it has one.
  ///
  /// - Throws: when none can be made; the attempt fails and another follows
  public var context: @Sendable () throws -> NIOSSLContext
  /// The join token for the next attempt; nil for none. It is sent once the controller's certificate was
  /// verified, never before.
  public var token: @Sendable () -> String?
  /// The name that the controller's certificate must have; nil: the host that is dialled.
  public var serverName: String?

  public init(
    context: @escaping @Sendable () throws -> NIOSSLContext,
    token: @escaping @Sendable () -> String? = { nil },
    serverName: String? = nil
  ) {
    self.context = context
    self.token = token
    self.serverName = serverName
  }
}

/// Decides which workers a controller lets in. Called on the listener's thread, which it must not block.
public protocol WorkerAuthenticator: Sendable {
  /// Who the worker is.
  ///
  /// - Throws: ``WorkerRefusal`` when it is not to be let in
  func authenticate(_ credentials: PresentedCredentials) throws(WorkerRefusal) -> WorkerIdentity

  /// Why a worker that was let in has to go now; nil when it may stay. Asked again and again.
  func problem(with identity: WorkerIdentity) -> String?
}

/// What a worker showed of itself, before it said anything.
public struct PresentedCredentials: Sendable {
  /// The certificate, DER. TLS has verified that the peer has its key, that its issuer is trusted and that it
  /// may be used by a client; nil when the peer showed none.
  public var certificate: [UInt8]?
  /// The join token, as it came: at most ``maximumTokenBytes`` bytes, otherwise unchecked.
  public var token: String?

  public static let maximumTokenBytes = 512

  public init(certificate: [UInt8]? = nil, token: String? = nil) {
    self.certificate = certificate
    self.token = token
  }
}

/// Why a worker is not let in: one sentence for both operators, without secrets.
public struct WorkerRefusal: Error, Hashable, Sendable, CustomStringConvertible {
  public var description: String

  public init(_ description: String) { self.description = description }
}

/// Who a worker is, by what it proved rather than by what it says.
public struct WorkerIdentity: Hashable, Sendable {
  public enum Method: String, Hashable, Sendable {
    case certificate, token
  }

  public var method: Method
  /// Of the certificate, or of the token, which several workers may share.
  public var name: String
  /// Where it runs, when the certificate says so.
  public var site: String?
  /// Tells this credential from others of the same name: a fingerprint, no secret.
  public var fingerprint: String
  /// When the credential ends; nil: never.
  public var expires: Date?

  public init(
    method: Method, name: String, site: String? = nil, fingerprint: String, expires: Date? = nil
  ) {
    self.method = method
    self.name = name
    self.site = site
    self.fingerprint = fingerprint
    self.expires = expires
  }

  /// The name to show for a worker that calls itself `claimed`. A certificate belongs to one worker, so only
  /// its name counts; workers that share a token are told apart by what they call themselves, behind the
  /// token's name.
  func name(claiming claimed: String) -> String {
    switch method {
    case .certificate: name
    case .token: claimed == name || claimed.isEmpty ? name : "\(name)/\(claimed)"
    }
  }
}
