import HTTPTypes
import Hummingbird

/// What browsers are told about pages of the origin that may call this server (Fetch standard, CORS).
struct CrossOrigin: Sendable {
  /// Of one request. A client library sends a dozen of its own.
  static let maxHeaders = 64
  static let maxHeaderBytes = 128
  private static let usual = ["Authorization", "Content-Type", "X-Request-Id"]

  /// "*" for all.
  let origin: String

  init?(origin: String?) {
    guard let origin else { return nil }
    self.origin = origin
  }

  /// On every answer: a page may read it, with the headers that are made for it.
  func allow(_ response: inout Response) {
    response.headers[.accessControlAllowOrigin] = origin
    response.headers[.accessControlExposeHeaders] = "X-Request-Id, Retry-After, X-Wanspec-Ignored-Fields"
  }

  /// The answer to a browser that asks before it sends a request of a page. What it asks for is allowed to pages of the
  /// allowed origin; others hear nothing of it.
  func preflight(_ request: HTTPRequest) -> Response {
    let vary = "Origin, Access-Control-Request-Headers"
    guard origin == "*" || request.headerFields[.origin] == origin else {
      return Response(status: .noContent, headers: [.vary: vary])
    }
    return Response(
      status: .noContent,
      headers: [
        .accessControlAllowMethods: "GET, HEAD, POST, OPTIONS",
        .accessControlAllowHeaders: Self.headers(request.headerFields[.accessControlRequestHeaders] ?? ""),
        .accessControlMaxAge: "86400",
        .vary: vary,
      ])
  }

  /// The usual ones and those asked for: names alone, and no more than a client library sends.
  private static func headers(_ wanted: String) -> String {
    var names = usual
    var seen = Set(usual.map { $0.lowercased() })
    for part in wanted.split(separator: ",") {
      let name = part.trimmingPrefix { $0 == " " || $0 == "\t" }.prefix { $0 != " " && $0 != "\t" }
      guard name.utf8.count <= maxHeaderBytes, HTTPField.Name(String(name)) != nil,
        seen.insert(name.lowercased()).inserted
      else { continue }
      names.append(String(name))
      if names.count == maxHeaders { break }
    }
    return names.joined(separator: ", ")
  }
}
