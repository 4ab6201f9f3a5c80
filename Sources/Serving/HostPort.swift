import Failures
import Sockets

/// An address to listen on or to dial: "127.0.0.1:7070", "worker.example:7070", "[::1]:7070".
public struct HostPort: Hashable, Sendable, CustomStringConvertible {
  public var host: String
  /// 0...65535.
  public var port: Int

  public init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  /// Why a text is no address, as a sentence.
  public struct Invalid: Error, CustomStringConvertible {
    public var description: String

    fileprivate init(_ description: String) { self.description = description }
  }

  /// - Throws: `Invalid`
  public init(parsing text: String) throws {
    let hostText: Substring
    let portText: Substring
    if text.first == "[" {
      guard let end = text.firstIndex(of: "]"), text[end...].dropFirst().first == ":" else {
        throw Invalid("\"\(text)\" is not an address; write an IPv6 one as [::1]:7070")
      }
      hostText = text[text.index(after: text.startIndex)..<end]
      portText = text[end...].dropFirst(2)
    } else {
      guard let colon = text.lastIndex(of: ":") else {
        throw Invalid("\"\(text)\" has no port; write host:port, such as 127.0.0.1:7070")
      }
      hostText = text[..<colon]
      portText = text[colon...].dropFirst()
      guard !hostText.contains(":") else {
        throw Invalid("\"\(text)\" is ambiguous; write an IPv6 address in brackets, as [::1]:7070")
      }
    }
    guard !hostText.isEmpty, !hostText.contains(where: \.isWhitespace), !hostText.contains("/") else {
      throw Invalid("\"\(text)\" has no host; write host:port, such as 127.0.0.1:7070")
    }
    guard portText.allSatisfy({ $0.isASCII && $0.isNumber }), let port = Int(portText),
      (0...65_535).contains(port)
    else {
      throw Invalid("\"\(portText)\" is not a port; a port is a number from 0 to 65535")
    }
    host = String(hostText)
    self.port = port
  }

  /// Whether what is sent there stays on this machine.
  public var isLoopback: Bool { Loopback.contains(host) }

  /// Whether it means every address of this machine.
  public var isWildcard: Bool { host == "0.0.0.0" || host == "::" }

  public var description: String { addressText(host: host, port: port) }
}
