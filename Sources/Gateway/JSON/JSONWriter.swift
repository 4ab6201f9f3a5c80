/// Writes JSON into a buffer of bytes.
///
/// Commas come by themselves; what is opened has to be closed by its caller.
package struct JSONWriter: Sendable {
  package private(set) var bytes: [UInt8] = []
  private var needsComma = false

  package init() {}

  /// Appends bytes as they are, outside of any value.
  package mutating func raw(_ text: StaticString) {
    text.withUTF8Buffer { bytes += $0 }
  }

  private mutating func separate() {
    if needsComma { bytes.append(UInt8(ascii: ",")) }
    needsComma = true
  }

  package mutating func object(_ body: (inout JSONWriter) -> Void) {
    separate()
    bytes.append(UInt8(ascii: "{"))
    needsComma = false
    body(&self)
    bytes.append(UInt8(ascii: "}"))
    needsComma = true
  }

  package mutating func array(_ body: (inout JSONWriter) -> Void) {
    separate()
    bytes.append(UInt8(ascii: "["))
    needsComma = false
    body(&self)
    bytes.append(UInt8(ascii: "]"))
    needsComma = true
  }

  package mutating func key(_ name: StaticString) {
    separate()
    bytes.append(UInt8(ascii: "\""))
    raw(name)
    bytes.append(UInt8(ascii: "\""))
    bytes.append(UInt8(ascii: ":"))
    needsComma = false
  }

  package mutating func key(_ name: String) {
    separate()
    quoted(name)
    bytes.append(UInt8(ascii: ":"))
    needsComma = false
  }

  package mutating func null() {
    separate()
    raw("null")
  }

  package mutating func value(_ value: Bool) {
    separate()
    if value { raw("true") } else { raw("false") }
  }

  package mutating func value(_ value: some BinaryInteger) {
    separate()
    bytes += String(value).utf8
  }

  /// Not a number and infinities, which JSON cannot say, become null.
  package mutating func value(_ value: Double) {
    separate()
    if value.isFinite { bytes += "\(value)".utf8 } else { raw("null") }
  }

  package mutating func value(_ value: Float) {
    separate()
    if value.isFinite { bytes += "\(value)".utf8 } else { raw("null") }
  }

  package mutating func value(_ value: String) {
    separate()
    quoted(value)
  }

  // MARK: Members

  package mutating func member(_ name: StaticString, _ text: String?) {
    key(name)
    if let text { value(text) } else { null() }
  }

  package mutating func member(_ name: StaticString, _ number: (some BinaryInteger)?) {
    key(name)
    if let number { value(number) } else { null() }
  }

  package mutating func member(_ name: StaticString, _ number: Double?) {
    key(name)
    if let number { value(number) } else { null() }
  }

  package mutating func member(_ name: StaticString, _ flag: Bool) {
    key(name)
    value(flag)
  }

  private mutating func quoted(_ text: String) {
    bytes.append(UInt8(ascii: "\""))
    var text = text
    text.withUTF8 { utf8 in
      var from = 0
      for index in utf8.indices where utf8[index] < 0x20 || utf8[index] == 0x22 || utf8[index] == 0x5C {
        bytes += utf8[from..<index]
        from = index + 1
        switch utf8[index] {
        case 0x22: raw("\\\"")
        case 0x5C: raw("\\\\")
        case 0x0A: raw("\\n")
        case 0x0D: raw("\\r")
        case 0x09: raw("\\t")
        case let control:
          raw("\\u00")
          let digits = Array("0123456789abcdef".utf8)
          bytes.append(digits[Int(control >> 4)])
          bytes.append(digits[Int(control & 15)])
        }
      }
      bytes += utf8[from...]
    }
    bytes.append(UInt8(ascii: "\""))
  }
}
