/// A key of any spelling, to see which keys a document has.
private struct AnyKey: CodingKey {
  var stringValue: String
  var intValue: Int? { nil }
  init(stringValue: String) { self.stringValue = stringValue }
  init?(intValue: Int) { nil }
}

extension Decoder {
  /// A misspelt key must not quietly leave a link without its delay.
  /// - Throws: `DecodingError.dataCorrupted` naming the key and those that exist.
  func rejectUnknownKeys<Key: CodingKey & CaseIterable>(_ keys: Key.Type) throws {
    let known = Set(keys.allCases.map(\.stringValue))
    let present = try container(keyedBy: AnyKey.self).allKeys.map(\.stringValue).sorted()
    guard let unknown = present.first(where: { !known.contains($0) }) else { return }
    throw DecodingError.dataCorrupted(
      DecodingError.Context(
        codingPath: codingPath,
        debugDescription: "unknown key \"\(unknown)\"; the keys are \(known.sorted().joined(separator: ", "))"
      ))
  }
}
