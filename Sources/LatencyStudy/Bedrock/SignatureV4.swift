import Crypto
import Foundation

/// Keys that requests to AWS are signed with.
public struct SigningKeys: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible {
  public var accessKeyID: String
  public var secretAccessKey: String
  /// Of temporary keys.
  public var sessionToken: String?

  public init(accessKeyID: String, secretAccessKey: String, sessionToken: String? = nil) {
    self.accessKeyID = accessKeyID
    self.secretAccessKey = secretAccessKey
    self.sessionToken = sessionToken
  }

  /// The id alone: secrets do not get into logs by way of a description.
  public var description: String { "keys \(accessKeyID)" }
  public var debugDescription: String { description }
}

/// Signs requests as AWS asks: Signature Version 4 ("Create a signed AWS API request", AWS documentation).
public struct SignatureV4: Sendable {
  public var keys: SigningKeys
  public var region: String
  public var service: String

  public init(keys: SigningKeys, region: String, service: String = "bedrock") {
    self.keys = keys
    self.region = region
    self.service = service
  }

  /// The headers to add to a request: `x-amz-date`, `x-amz-security-token` with temporary keys, `authorization`.
  ///
  /// - Parameters:
  ///   - path: as it goes over the wire, percent-encoded, without a query. It is signed encoded once more, as all services
  ///     but S3 ask: `/model/a%3A0/converse-stream` as `/model/a%253A0/converse-stream`
  ///   - headers: that are to be signed, with lower-case names; `host` among them, with the port if it is not the default
  ///   - date: the machine's time, which AWS wants to be right to five minutes
  public func headers(
    method: String, path: String, headers: [(name: String, value: String)], body: [UInt8], date: Date
  ) -> [(name: String, value: String)] {
    precondition(headers.contains { $0.name == "host" }, "the host is always signed")
    let time = date.formatted(
      .iso8601.year().month().day().dateSeparator(.omitted).time(includingFractionalSeconds: false)
        .timeSeparator(.omitted).timeZone(separator: .omitted))
    var added = [(name: "x-amz-date", value: time)]
    if let token = keys.sessionToken { added.append((name: "x-amz-security-token", value: token)) }
    let signed = (headers + added).sorted { $0.name < $1.name }
    let names = signed.map(\.name).joined(separator: ";")
    let canonical =
      ([method, Self.encoded(path), ""] + signed.map { "\($0.name):\(Self.trimmed($0.value))" } + [
        "", names, Self.hexadecimal(SHA256.hash(data: body)),
      ]).joined(separator: "\n")
    let day = String(time.prefix(8))
    let scope = "\(day)/\(region)/\(service)/aws4_request"
    let text = [
      "AWS4-HMAC-SHA256", time, scope, Self.hexadecimal(SHA256.hash(data: Array(canonical.utf8))),
    ].joined(separator: "\n")
    let key = [region, service, "aws4_request"].reduce(
      Self.code(day, SymmetricKey(data: Array("AWS4\(keys.secretAccessKey)".utf8)))
    ) { Self.code($1, SymmetricKey(data: $0)) }
    let signature = Self.hexadecimal(Self.code(text, SymmetricKey(data: key)))
    let credential = "\(keys.accessKeyID)/\(scope)"
    added.append(
      (
        name: "authorization",
        value: "AWS4-HMAC-SHA256 Credential=\(credential), SignedHeaders=\(names), Signature=\(signature)"
      ))
    return added
  }

  private static func code(_ text: String, _ key: SymmetricKey) -> HMAC<SHA256>.MAC {
    HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key)
  }

  /// A path as it is signed: every byte but letters, digits and `-_.~/` percent-encoded, a `%` too.
  static func encoded(_ path: String) -> String {
    var result = ""
    for byte in path.utf8 {
      switch byte {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
        UInt8(ascii: "~"), UInt8(ascii: "/"):
        result.unicodeScalars.append(Unicode.Scalar(byte))
      default: result += "%" + hexadecimal([byte]).uppercased()
      }
    }
    return result.isEmpty ? "/" : result
  }

  /// Without spaces around it, and with one where there were several.
  private static func trimmed(_ value: String) -> String {
    value.split(separator: " ").joined(separator: " ")
  }

  private static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef")
    return bytes.reduce(into: "") { text, byte in
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
  }
}
