import ConstrainedDecoding

/// What form the answer has to take.
public enum ResponseFormat: Hashable, Sendable {
  case text
  case jsonObject
  /// The schema as it came, byte for byte: the order of its keys is the order of the answer's.
  case jsonSchema([UInt8])
  /// GBNF.
  case grammar(String)
}

extension ResponseFormat {
  /// The grammar that an answer has to follow; nil for any text. Takes tens of milliseconds where it is large.
  ///
  /// - Throws: `ConstraintError` that says what is wrong with the schema or the grammar, and where.
  public func rules() throws -> GrammarRules? {
    switch self {
    case .text: nil
    case .jsonObject: try GrammarRules(JSONSchemaGrammar.anyObject)
    case .jsonSchema(let schema): try JSONSchemaGrammar.rules(schema: schema)
    case .grammar(let text): try GrammarRules(text)
    }
  }
}
