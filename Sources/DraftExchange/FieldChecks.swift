import SpeculationCore

/// Checks of single fields, each a ``FieldViolation`` that names the field and its value.
///
/// `field` is an autoclosure because almost every check passes: no path is put together then.
enum FieldChecks {
  static func require(
    _ condition: Bool, _ field: @autoclosure () -> String, _ problem: @autoclosure () -> String
  ) throws(FieldViolation) {
    if !condition { throw FieldViolation(field: field(), problem: problem()) }
  }

  static func session(_ raw: UInt64, _ field: @autoclosure () -> String) throws(FieldViolation)
    -> SessionID
  {
    try require(raw != 0, field(), "is 0: a session id is above 0")
    return SessionID(raw)
  }

  /// - Parameter vocabularySize: ids are below it
  static func tokens(
    _ raw: [UInt32], vocabularySize: Int, _ field: @autoclosure () -> String
  ) throws(FieldViolation) -> [TokenID] {
    let limit = UInt32(clamping: vocabularySize)
    for (index, token) in raw.enumerated() where token >= limit {
      throw FieldViolation(
        field: "\(field())[\(index)]", problem: "is \(token): the vocabulary has \(vocabularySize) tokens")
    }
    return raw.map { TokenID(bitPattern: $0) }
  }

  static func count(
    _ count: Int, atMost limit: Int, _ field: @autoclosure () -> String
  ) throws(FieldViolation) {
    try require(count <= limit, field(), "has \(count) entries: at most \(limit) are allowed")
  }

  static func position(
    _ raw: UInt32, _ limits: ExchangeLimits, _ field: @autoclosure () -> String
  ) throws(FieldViolation) -> Int {
    try require(
      raw < limits.maximumContextLength, field(),
      "is \(raw): positions are below \(limits.maximumContextLength)")
    return Int(raw)
  }

  static func text(
    _ text: String, atMost limit: Int, _ field: @autoclosure () -> String
  ) throws(FieldViolation) -> String {
    let bytes = text.utf8.count
    try require(bytes <= limit, field(), "has \(bytes) bytes: at most \(limit) are allowed")
    try require(
      !text.unicodeScalars.contains(where: isControl), field(), "contains control characters")
    return text
  }

  /// C0 and C1 control characters, which would reach an operator's terminal.
  static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
  }

  /// `text` made to pass ``text(_:atMost:_:)``: control characters become spaces, the rest is cut off.
  static func presentable(_ text: String, atMost limit: Int) -> String {
    var result = String.UnicodeScalarView()
    var bytes = 0
    for scalar in text.unicodeScalars {
      let kept: Unicode.Scalar = isControl(scalar) ? " " : scalar
      bytes += UTF8.width(kept)
      if bytes > limit { break }
      result.append(kept)
    }
    return String(result)
  }
}
