import Foundation

/// A base address, taken apart.
public struct Endpoint: Sendable, Hashable {
  public struct Invalid: Error, Equatable, CustomStringConvertible {
    public let description: String
  }

  public var isSecure: Bool
  public var host: String
  public var port: Int
  /// Without a slash at the end: "" or "/v1".
  public var path: String

  public init(_ text: String) throws(Invalid) {
    guard text.utf8.count <= 2048, let parts = URLComponents(string: text),
      let scheme = parts.scheme?.lowercased(), scheme == "http" || scheme == "https",
      let host = parts.host, !host.isEmpty
    else {
      throw Invalid(
        description:
          "\"\(text.prefix(200))\" is not an address; write http://HOST[:PORT][/PATH] or https://...")
    }
    guard parts.user == nil, parts.password == nil else {
      throw Invalid(
        description:
          "an address has no user or password; put a key into an environment variable (key-variable)")
    }
    guard parts.query == nil, parts.fragment == nil else {
      throw Invalid(description: "a base address has no ? and no #; the path of the API is added to its end")
    }
    isSecure = scheme == "https"
    // An IPv6 address comes with its brackets.
    self.host = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
    port = parts.port ?? (isSecure ? 443 : 80)
    guard (1...65_535).contains(port) else {
      throw Invalid(description: "port \(port) is not between 1 and 65535")
    }
    var path = parts.percentEncodedPath
    while path.hasSuffix("/") { path.removeLast() }
    self.path = path
  }

  /// As the Host header has it.
  public var authority: String {
    let host = host.contains(":") ? "[\(host)]" : host
    return port == (isSecure ? 443 : 80) ? host : "\(host):\(port)"
  }
}
