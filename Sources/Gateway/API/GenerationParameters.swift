import SpeculationCore

/// What both endpoints that generate text have in common.
package struct GenerationParameters: Sendable {
  package var model: String?
  package var maxTokens: Int?
  package var temperature: Double
  package var topP: Double
  package var topK: Int
  package var minP: Double
  /// nil: to be drawn.
  package var seed: UInt64?
  package var stop: [[UInt8]]
  package var choices: Int
  package var biases: [LogitAdjustments.Bias]
  package var presence: Double
  package var frequency: Double
  package var repetition: Double
  package var format: ResponseFormat
  package var ignoresEnd: Bool
  package var isStreamed: Bool
  package var includesUsage: Bool
  package var user: String?
  package var speculation: SpeculationChoice

  /// Takes the fields that both endpoints share.
  ///
  /// - Throws: `APIError` with status 400 that names the field.
  init(_ fields: inout FieldReader, raw: [UInt8], limits: GatewayLimits) throws(APIError) {
    model = try fields.string("model")
    maxTokens = try Self.maxTokens(&fields)
    temperature = try fields.number("temperature", in: 0...100) ?? 1
    // 0 leaves the likeliest token.
    topP = try fields.number("top_p", in: 0...1) ?? 1
    // vLLM writes "off" as -1, llama-server as 0.
    topK = max(0, try fields.integer("top_k", in: -1...Int(Int32.max)) ?? 0)
    minP = try fields.number("min_p", in: 0...1) ?? 0
    seed = try Self.seed(&fields)
    stop = try Self.stop(&fields, limits: limits)
    choices = try fields.integer("n", in: 1...limits.choices) ?? 1
    biases = try Self.biases(&fields)
    presence = try fields.number("presence_penalty", in: -2...2) ?? 0
    frequency = try fields.number("frequency_penalty", in: -2...2) ?? 0
    let repetition = try fields.number("repetition_penalty", in: 0.01...10)
    let repeatPenalty = try fields.number("repeat_penalty", in: 0.01...10)
    if let repetition, let repeatPenalty, repetition != repeatPenalty {
      throw .invalid(
        "repetition_penalty and repeat_penalty are two names of one setting: give one of them",
        param: fields.path(of: "repeat_penalty"))
    }
    self.repetition = repetition ?? repeatPenalty ?? 1
    format = try Self.format(&fields, raw: raw)
    ignoresEnd = try fields.bool("ignore_eos") ?? false
    if ignoresEnd, format != .text {
      throw .invalid(
        "ignore_eos: nothing can follow the end of what response_format or grammar describes",
        param: fields.path(of: "ignore_eos"))
    }
    isStreamed = try fields.bool("stream") ?? false
    includesUsage = try Self.includesUsage(&fields, isStreamed: isStreamed)
    user = try fields.string("user")
    speculation = try Self.speculation(&fields)
    // Penalties here look at the whole text.
    let hasPenalties = self.repetition != 1 || presence != 0 || frequency != 0
    try fields.unsupported(
      "repeat_last_n", "is not supported by this server: penalties look at the whole text",
      unless: { !hasPenalties || $0.wholeNumber == -1 })
  }

  /// -1 is llama-server's word for as many as there is room for.
  private static func maxTokens(_ fields: inout FieldReader) throws(APIError) -> Int? {
    var limit: Int?
    for name in ["max_tokens", "n_predict"] {
      guard let node = fields.node(name) else { continue }
      let own = node.wholeNumber == -1 ? Int.max : try fields.integer(name, in: 1...Int.max)
      if let limit, own != limit {
        throw .invalid(
          "max_tokens and n_predict are two names of one limit: give one of them",
          param: fields.path(of: name))
      }
      limit = own
    }
    return limit
  }

  private static func seed(_ fields: inout FieldReader) throws(APIError) -> UInt64? {
    guard let node = fields.node("seed") else { return nil }
    guard let value = node.wholeNumber else { throw fields.wrongType("seed", "an integer", node) }
    if let seed = UInt64(exactly: value) { return seed }
    if let seed = Int64(exactly: value) { return UInt64(bitPattern: seed) }
    throw .invalid("seed must fit in 64 bits", param: fields.path(of: "seed"), code: "invalid_value")
  }

  private static func stop(_ fields: inout FieldReader, limits: GatewayLimits) throws(APIError) -> [[UInt8]] {
    guard let node = fields.node("stop") else { return [] }
    let path = fields.path(of: "stop")
    func bytes(_ text: String, _ path: String) throws(APIError) -> [UInt8] {
      if text.isEmpty { throw .invalid("\(path) is an empty string", param: path, code: "invalid_value") }
      if text.utf8.count > limits.stopBytes {
        throw .invalid(
          "\(path) has \(text.utf8.count) bytes; at most \(limits.stopBytes) are possible", param: path,
          code: "invalid_value")
      }
      return Array(text.utf8)
    }
    switch node.value {
    case .string(let text):
      return [try bytes(text, path)]
    case .array(let elements):
      if elements.count > limits.stopStrings {
        throw .invalid(
          "\(path) has \(elements.count) strings; at most \(limits.stopStrings) are possible", param: path,
          code: "invalid_value")
      }
      var result: [[UInt8]] = []
      for (index, element) in elements.enumerated() {
        guard case .string(let text) = element.value else {
          throw fields.wrongType("stop[\(index)]", "a string", element)
        }
        result.append(try bytes(text, "\(path)[\(index)]"))
      }
      return result
    default:
      throw fields.wrongType("stop", "a string or an array of strings", node)
    }
  }

  private static func biases(_ fields: inout FieldReader) throws(APIError) -> [LogitAdjustments.Bias] {
    guard let node = fields.node("logit_bias") else { return [] }
    let path = fields.path(of: "logit_bias")
    guard case .object(let members) = node.value else {
      throw fields.wrongType("logit_bias", "an object of token ids and numbers", node)
    }
    if members.count > LogitAdjustments.maxBiases {
      throw .invalid(
        "\(path) has \(members.count) entries; at most \(LogitAdjustments.maxBiases) are possible",
        param: path,
        code: "invalid_value")
    }
    var result: [TokenID: Float] = [:]
    for member in members {
      let name = "\(path).\(member.key.prefix(32))"
      guard let token = TokenID(member.key), token >= 0 else {
        throw .invalid("\(name) is no token id", param: name, code: "invalid_value")
      }
      guard let value = member.node.number, (-100...100).contains(value) else {
        throw .invalid("\(name) must be a number between -100 and 100", param: name, code: "invalid_value")
      }
      guard result.updateValue(Float(value), forKey: token) == nil else {
        throw .invalid("\(name) names a token twice", param: name, code: "invalid_value")
      }
    }
    return result.filter { $0.value != 0 }.sorted { $0.key < $1.key }
      .map { LogitAdjustments.Bias(token: $0.key, value: $0.value) }
  }

  private static func format(_ fields: inout FieldReader, raw: [UInt8]) throws(APIError) -> ResponseFormat {
    var format = ResponseFormat.text
    if let node = fields.node("response_format") {
      var own = try FieldReader(node, path: fields.path(of: "response_format"))
      switch try own.requiredString("type") {
      case "text": break
      case "json_object":
        format = .jsonObject
        // As llama-server takes it.
        if own.node("schema") != nil { format = try schema(&own, raw: raw) }
      case "json_schema":
        var schema = try FieldReader(try own.required("json_schema"), path: own.path(of: "json_schema"))
        _ = try schema.string("name")
        _ = try schema.string("description")
        // Followed exactly in any case.
        _ = try schema.bool("strict")
        format = try Self.schema(&schema, raw: raw)
        try schema.finish()
      default:
        throw .invalid(
          "\(own.path(of: "type")) must be text, json_object or json_schema", param: own.path(of: "type"),
          code: "invalid_value")
      }
      try own.finish()
    }
    if let grammar = try fields.string("grammar"), !grammar.isEmpty {
      if format != .text {
        throw .invalid(
          "grammar and response_format both say what the answer looks like: give one of them",
          param: fields.path(of: "grammar"))
      }
      format = .grammar(grammar)
    }
    return format
  }

  private static func schema(_ fields: inout FieldReader, raw: [UInt8]) throws(APIError) -> ResponseFormat {
    let node = try fields.required("schema")
    switch node.value {
    case .object, .bool: return .jsonSchema(Array(raw[node.range]))
    default: throw fields.wrongType("schema", "an object", node)
    }
  }

  private static func includesUsage(
    _ fields: inout FieldReader, isStreamed: Bool
  ) throws(APIError) -> Bool {
    guard let node = fields.node("stream_options") else { return false }
    var own = try FieldReader(node, path: fields.path(of: "stream_options"))
    if !isStreamed, !own.isEmpty {
      throw .invalid(
        "\(own.path) is only possible together with stream: true", param: own.path, code: "invalid_value")
    }
    let usage = try own.bool("include_usage") ?? false
    try own.finish(.streamOptions)
    return usage
  }

  private static func speculation(_ fields: inout FieldReader) throws(APIError) -> SpeculationChoice {
    var choice = SpeculationChoice()
    guard let node = fields.node("speculation") else { return choice }
    var own = try FieldReader(node, path: fields.path(of: "speculation"))
    if let name = try own.string("mode") {
      // "home" is the name of an earlier version.
      guard let mode = name == "home" ? .local : SpeculationChoice.Mode(rawValue: name) else {
        let names = SpeculationChoice.Mode.allCases.map(\.rawValue).joined(separator: ", ")
        throw .invalid(
          "\(own.path(of: "mode")) must be one of \(names)", param: own.path(of: "mode"),
          code: "invalid_value")
      }
      choice.mode = mode
    }
    choice.price = try own.number("price", in: 0...1_000_000)
    choice.width = try own.integer("width", in: 0...65_536)
    try own.finish(.own)
    return choice
  }

  /// - Parameters:
  ///   - promptLength: tokens
  ///   - choice: counts from 0
  ///   - seed: of the first choice
  package func sampling(promptLength: Int, choice: Int, seed: UInt64) -> SamplingSettings {
    var adjustments = LogitAdjustments(
      promptLength: Int32(clamping: promptLength), repetition: Float(repetition), presence: Float(presence),
      frequency: Float(frequency), biases: biases)
    let isNeutral = !adjustments.hasPenalties && adjustments.biases.isEmpty
    if isNeutral { adjustments.promptLength = 0 }
    return SamplingSettings(
      temperature: Float(temperature), topK: Int32(topK), topP: max(Float(topP), .leastNormalMagnitude),
      minP: Float(minP), seed: seed &+ UInt64(choice), adjustments: isNeutral ? nil : adjustments)
  }
}
