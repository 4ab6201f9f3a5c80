import Foundation

/// What a server means that says 200 and then sends one body where a stream was asked for.
enum UnstreamedAnswer {
  /// Whether a body of this type holds no stream, whatever its bytes are.
  static func isNamed(by contentType: String?) -> Bool {
    guard let type = contentType?.prefix(while: { $0 != ";" }).lowercased() else { return false }
    return ["application/json", "text/html"].contains(type)
  }

  /// - Returns: nil for what may be a stream in which nothing was said
  static func failure(_ bytes: [UInt8], contentType: String?) -> (outcome: ProbeOutcome, detail: String)? {
    guard let first = bytes.first(where: { !" \t\r\n".utf8.contains($0) }) else { return nil }
    guard "{[<".utf8.contains(first) || isNamed(by: contentType) else { return nil }
    if let message = errorMessage(bytes) { return (.exception, message) }
    let kind = first == UInt8(ascii: "<") ? "a page" : "one body"
    let start = String(decoding: bytes.prefix(100), as: UTF8.self)
    return (.malformed, "the answer is \(kind), not a stream (\(contentType ?? "of no type")): \(start)")
  }

  /// Of OpenAI's form, and of AWS's.
  private static func errorMessage(_ bytes: [UInt8]) -> String? {
    let object = (try? JSONSerialization.jsonObject(with: Data(bytes))) as? [String: Any]
    guard let object else { return nil }
    switch object["error"] ?? object["Error"] {
    case let text as String: return text
    case let error as [String: Any]:
      let parts = [error["type"], error["message"]].compactMap { $0 as? String }
      return parts.isEmpty ? "an error without a message" : parts.joined(separator: ": ")
    default: break
    }
    guard object["choices"] == nil, let message = object["message"] ?? object["Message"] else { return nil }
    return [object["__type"] as? String, message as? String].compactMap { $0 }.joined(separator: ": ")
  }
}
