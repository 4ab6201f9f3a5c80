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
    JSONString.append(name, to: &bytes)
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
    JSONString.append(value, to: &bytes)
  }

  /// A value that is JSON already.
  package mutating func literal(_ json: some Sequence<UInt8>) {
    separate()
    bytes += json
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
}
