import Failures
import Sockets

/// Why a gateway does not begin.
public typealias GatewayError = Failure<GatewayErrorCode>

/// The kinds of `GatewayError`.
public struct GatewayErrorCode: Hashable, Sendable {
  private enum Raw: Hashable, Sendable { case insecure }
  private var raw: Raw

  /// Others could use it without a key, and nobody has said that they may.
  public static let insecure = GatewayErrorCode(raw: .insecure)
}

extension GatewayConfiguration {
  /// The problem with listening on an address as it is, as a sentence; nil when there is none.
  public static func problem(host: String, port: Int, hasKeys: Bool, allowsAnyone: Bool) -> String? {
    if hasKeys, allowsAnyone {
      return "--api-key-file and --no-auth contradict each other; give one of them."
    }
    if hasKeys || allowsAnyone || Loopback.contains(host) { return nil }
    let address = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    return
      "clients would reach \(address) from other machines without a key; give --api-key-file, or add --no-auth "
      + "to allow it."
  }

  /// - Throws: `GatewayError`
  public func requireAccessAllowed() throws {
    let problem = Self.problem(
      host: host, port: port, hasKeys: authenticator != nil, allowsAnyone: allowsAnyone)
    if let problem { throw GatewayError(.insecure, problem) }
  }
}
