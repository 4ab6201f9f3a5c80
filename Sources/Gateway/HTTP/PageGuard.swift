import HTTPTypes
import Sockets

/// Keeps web pages away from a server that asks nobody for a key.
///
/// On loopback a server serves the programs of its machine. A browser is one of them, and runs pages of anybody: a page may
/// send requests from another origin, or have its own name resolve to 127.0.0.1 and be of the same one (DNS rebinding).
/// What such a page cannot have is a key; so where keys are asked for, nothing of this is needed.
struct PageGuard: Sendable {
  private let allowedOrigin: String?

  /// - Returns: nil where there is nothing to guard
  init?(_ configuration: GatewayConfiguration) {
    guard configuration.authenticator == nil, !configuration.allowsAnyone else { return nil }
    allowedOrigin = configuration.allowedOrigin
  }

  /// - Throws: `APIError` with status 403
  func check(_ request: HTTPRequest) throws(APIError) {
    // No browser leaves it out.
    if let authority = request.authority, !Self.isLocal(host: Self.host(of: authority)) {
      throw APIError(
        .forbidden,
        "the request is for \(authority.prefix(128).debugDescription), and without API keys this server answers to names of"
          + " this machine alone: ask for localhost, or start it with --api-key-file or --no-auth",
        code: "host_not_allowed")
    }
    guard let origin = request.headerFields[.origin], !isAllowed(origin: origin) else { return }
    throw APIError(
      .forbidden,
      "web pages of \(origin.prefix(128).debugDescription) may not call this server: start it with --cors-origin, with"
        + " --api-key-file or with --no-auth",
      code: "origin_not_allowed")
  }

  private func isAllowed(origin: String) -> Bool {
    if allowedOrigin == "*" || allowedOrigin == origin { return true }
    guard let scheme = origin.firstRange(of: "://") else { return false }
    return Self.isLocal(host: Self.host(of: String(origin[scheme.upperBound...])))
  }

  private static func isLocal(host: String) -> Bool {
    // Resolvers answer for these themselves.
    Loopback.contains(host) || host.lowercased().hasSuffix(".localhost")
  }

  /// Of "host:port", "[::1]:port" or one without a port.
  private static func host(of authority: String) -> String {
    if authority.first == "[" { return String(authority.dropFirst().prefix { $0 != "]" }) }
    return String(authority.prefix { $0 != ":" })
  }
}
