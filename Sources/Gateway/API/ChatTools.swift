import ModelBackend
import StrictJSON

/// The functions that a chat's model may call, and whether it has to.
struct ChatTools {
  private(set) var tools: [ChatTool] = []
  private(set) var choice = ToolChoice.auto

  /// - Throws: `APIError` with status 400 that says what is wrong and where.
  init(_ fields: inout FieldReader, raw: [UInt8], limits: GatewayLimits) throws(APIError) {
    if let node = fields.node("tools") {
      let elements = try fields.elements(of: node, "tools", limit: limits.tools)
      for (index, element) in elements.enumerated() {
        try append(element, path: "tools[\(index)]", raw: raw)
      }
    }
    if let node = fields.node("tool_choice") { try choose(node) }
  }

  private mutating func append(_ node: JSONNode, path: String, raw: [UInt8]) throws(APIError) {
    var own = try FieldReader(node, path: path)
    try Self.requireFunction(try own.required("type"), path: own.path(of: "type"))
    var function = try FieldReader(try own.required("function"), path: own.path(of: "function"))
    let name = try Self.name(&function)
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

  /// - Parameter type: of a tool or a call
  static func requireFunction(_ type: JSONNode, path: String) throws(APIError) {
    if type.isString("function") { return }
    throw .invalid("\(path): only function is supported", param: path, code: "unsupported_parameter")
  }

  private static func name(_ function: inout FieldReader) throws(APIError) -> String {
    let name = try function.requiredString("name")
    let path = function.path(of: "name")
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
      try Self.requireFunction(try own.required("type"), path: own.path(of: "type"))
      var function = try FieldReader(try own.required("function"), path: own.path(of: "function"))
      let name = try Self.name(&function)
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
