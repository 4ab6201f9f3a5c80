/// An address as people read and write it: "127.0.0.1:7070", "worker.example:7070", "[::1]:7070".
///
/// - Parameter host: with or without the brackets of an IPv6 address
public func addressText(host: String, port: Int) -> String {
  host.contains(":") && host.first != "[" ? "[\(host)]:\(port)" : "\(host):\(port)"
}
