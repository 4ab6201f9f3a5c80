/// How a string is written in JSON (RFC 8259, section 7).
package enum JSONString {
  /// Appends a string with its quotes, in UTF-8.
  ///
  /// - Parameter inScript: also escape what ends a script element or, in old readers, a line of it: `<`, U+2028, U+2029
  package static func append(_ text: String, to bytes: inout [UInt8], inScript: Bool = false) {
    bytes.append(UInt8(ascii: "\""))
    var text = text
    text.withUTF8 { utf8 in
      var from = 0
      for index in utf8.indices {
        guard let (escape, length) = escape(utf8[index...], inScript: inScript) else { continue }
        bytes += utf8[from..<index]
        bytes += escape.utf8
        from = index + length
      }
      bytes += utf8[from...]
    }
    bytes.append(UInt8(ascii: "\""))
  }

  /// The string with its quotes.
  package static func quoted(_ text: String, inScript: Bool = false) -> String {
    var bytes: [UInt8] = []
    append(text, to: &bytes, inScript: inScript)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// What stands for the first character of a text, and the bytes that it replaces; nil where it stands for itself.
  private static func escape(
    _ utf8: Slice<UnsafeBufferPointer<UInt8>>, inScript: Bool
  ) -> (text: String, length: Int)? {
    let byte = utf8[utf8.startIndex]
    switch byte {
    case UInt8(ascii: "\""): return ("\\\"", 1)
    case UInt8(ascii: "\\"): return ("\\\\", 1)
    case UInt8(ascii: "\n"): return ("\\n", 1)
    case UInt8(ascii: "\r"): return ("\\r", 1)
    case UInt8(ascii: "\t"): return ("\\t", 1)
    case 0..<0x10: return ("\\u000" + String(byte, radix: 16), 1)
    case 0x10..<0x20: return ("\\u00" + String(byte, radix: 16), 1)
    case UInt8(ascii: "<") where inScript: return ("\\u003c", 1)
    case 0xE2 where inScript && utf8.starts(with: [0xE2, 0x80, 0xA8]): return ("\\u2028", 3)
    case 0xE2 where inScript && utf8.starts(with: [0xE2, 0x80, 0xA9]): return ("\\u2029", 3)
    default: return nil
    }
  }
}
