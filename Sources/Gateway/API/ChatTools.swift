import ModelBackend
import StrictJSON

/// The functions that a chat's model may call, and whether it has to.
struct ChatTools {
  private(set) var tools: [ChatTool] = []
  private(set) var choice = ToolChoice.auto

  /// - Throws: `APIError` with status 400 that says what is wrong and where.
  init(_ fields: inout FieldReader, raw: [UInt8], limits: GatewayLimits) throws(APIError) {
    if let node = fields.node("tools") {
      guard case .array(let elements) = node.value else { throw fields.wrongType("tools", "an array", node) }
      if elements.count > limits.tools {
        throw .invalid(
          "there are \(elements.count) tools; at most \(limits.tools) are possible", param: "tools",
          code: "invalid_value")
      }
      for (index, element) in elements.enumerated() {
        try append(element, path: "tools[\(index)]", raw: raw)
      }
    }
    if let node = fields.node("tool_choice") { try choose(node) }
  }

  private mutating func append(_ node: JSONNode, path: String, raw: [UInt8]) throws(APIError) {
    var own = try FieldReader(node, path: path)
    let type = try own.required("type")
    guard type.isString("function") else {
      throw .invalid(
        "\(path).type: only function is supported", param: "\(path).type", code: "unsupported_parameter")
    }
    var function = try FieldReader(try own.required("function"), path: own.path(of: "function"))
    let name = try Self.name(try function.required("name"), path: function.path(of: "name"))
    if tools.contains(where: { $0.name == name }) {
      throw .invalid(
        "\(function.path(of: "name")): there are two tools called \(name)", param: function.path(of: "name"),
        code: "invalid_value")
    }
    let description = try function.string("description") ?? ""
    // Arguments follow the schema exactly in any case.
    _ = try function.bool("strict")
    var parameters = #"{"type":"object","properties":{}}"#
    if let schema = function.node("parameters") {
      guard case .object(let members) = schema.value else {
        throw function.wrongType("parameters", "an object", schema)
      }
      if !members.isEmpty { parameters = String(decoding: raw[schema.range], as: UTF8.self) }
    }
    try function.finish()
    _ = own.node("cache_control")
    try own.finish()
    tools.append(ChatTool(name: name, description: description, parameters: parameters))
  }

  private static func name(_ node: JSONNode, path: String) throws(APIError) -> String {
    guard case .string(let name) = node.value else {
      throw .invalid("\(path) must be a string, not \(node.kind)", param: path, code: "invalid_type")
    }
    let isPlain = name.utf8.allSatisfy { byte in
      (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
        || [UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: ".")].contains(byte)
    }
    guard isPlain, (1...64).contains(name.utf8.count) else {
      throw .invalid(
        "\(path) must have 1 to 64 letters, digits, dots, hyphens and underscores", param: path,
        code: "invalid_value")
    }
    return name
  }

  private mutating func choose(_ node: JSONNode) throws(APIError) {
    switch node.value {
    case .string(let word):
      guard let choice = ToolChoice(rawValue: word) else {
        throw .invalid(
          "tool_choice must be none, auto, required or a function", param: "tool_choice",
          code: "invalid_value")
      }
      self.choice = choice
    case .object:
      var own = try FieldReader(node, path: "tool_choice")
      let type = try own.required("type")
      guard type.isString("function") else {
        throw .invalid(
          "tool_choice.type: only function is supported", param: "tool_choice.type",
          code: "unsupported_parameter")
      }
      var function = try FieldReader(try own.required("function"), path: "tool_choice.function")
      let name = try Self.name(try function.required("name"), path: "tool_choice.function.name")
      try function.finish()
      try own.finish()
      guard let tool = tools.first(where: { $0.name == name }) else {
        throw .invalid(
          "tool_choice.function.name: there is no tool called \(name)", param: "tool_choice.function.name",
          code: "invalid_value")
      }
      tools = [tool]
      choice = .required
    default:
      throw .invalid(
        "tool_choice must be a string or an object, not \(node.kind)", param: "tool_choice",
        code: "invalid_type")
    }
    if choice == .required, tools.isEmpty {
      throw .invalid(
        "tool_choice demands a call, but there are no tools", param: "tool_choice", code: "invalid_value")
    }
  }
}
