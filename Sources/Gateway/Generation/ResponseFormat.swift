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

extension ResponseFormat {
  /// The field that asks for it; nil where none does.
  var param: String? {
    switch self {
    case .text: nil
    case .jsonObject, .jsonSchema: "response_format"
    case .grammar: "grammar"
    }
  }

  /// Of its text.
  var bytes: Int {
    switch self {
    case .text, .jsonObject: 0
    case .jsonSchema(let schema): schema.count
    case .grammar(let text): text.utf8.count
    }
  }
}
