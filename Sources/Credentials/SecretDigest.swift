import Crypto
import Foundation

/// SHA-256 of a secret: what is kept instead of it.
///
/// The secrets that this program makes have 256 random bits, so nothing slower than one hash is needed to make
/// guessing hopeless.
public struct SecretDigest: Sendable, CustomStringConvertible {
  let bytes: [UInt8]

  public init(of secret: some Collection<UInt8>) {
    bytes = Array(SHA256.hash(data: Array(secret)))
  }

  init?(hex: some StringProtocol) {
    guard let bytes = Hex.bytes(hex), bytes.count == SHA256.byteCount else { return nil }
    self.bytes = bytes
  }

  /// The inverse of ``description``.
  package init?(description: String) {
    guard description.hasPrefix("sha256:") else { return nil }
    self.init(hex: description.dropFirst("sha256:".count))
  }

  /// In constant time.
  public func matches(_ other: SecretDigest) -> Bool { ConstantTime.areEqual(bytes, other.bytes) }

  /// "sha256:" and 64 hexadecimal digits.
  public var description: String { "sha256:\(Hex.text(bytes))" }

  /// The first eight digits, to tell credentials apart.
  public var short: String { Hex.text(bytes.prefix(4)) }
}

enum Hex {
  static func text(_ bytes: some Collection<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(bytes.count * 2)
    for byte in bytes { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
    return String(decoding: text, as: UTF8.self)
  }

  static func bytes(_ text: some StringProtocol) -> [UInt8]? {
    let digits = text.utf8.map { digit -> UInt8? in
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
      default: nil
      }
    }
    guard digits.count.isMultiple(of: 2), !digits.contains(nil) else { return nil }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0]! << 4 | digits[$0 + 1]! }
  }
}

/// Dates in files and tables: "2026-11-25T04:00:00Z".
public enum CredentialDate {
  public static func text(_ date: Date) -> String { date.formatted(.iso8601) }
  static func date(_ text: some StringProtocol) -> Date? { try? Date(String(text), strategy: .iso8601) }
}
