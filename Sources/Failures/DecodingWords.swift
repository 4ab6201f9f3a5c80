extension DecodingError {
  /// Where in the document, and what is wrong there: "links[0].rtt: must be a Double".
  package var words: String {
    func place(_ context: Context, _ last: (any CodingKey)? = nil) -> String {
      let path = (context.codingPath + (last.map { [$0] } ?? [])).map {
        $0.intValue.map { "[\($0)]" } ?? $0.stringValue
      }
      return path.isEmpty ? "" : path.joined(separator: ".").replacing(".[", with: "[") + ": "
    }
    switch self {
    case .keyNotFound(let key, let context): return place(context, key) + "missing"
    case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
      return place(context) + "must be a \(type)"
    case .dataCorrupted(let context): return place(context) + context.debugDescription
    @unknown default: return "\(self)"
    }
  }
}
