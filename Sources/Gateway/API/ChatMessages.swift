import ModelBackend
import StrictJSON

/// Reads the messages of a chat, also those that another server wrote.
struct ChatMessages {
  private(set) var messages: [ChatMessage] = []
  /// Calls that have been made so far.
  private var calls: Set<String> = []

  /// - Throws: `APIError` with status 400 that says what is wrong and where.
  init(_ fields: inout FieldReader, limits: GatewayLimits) throws(APIError) {
    let elements = try fields.elements(
      of: try fields.required("messages"), "messages", limit: limits.messages)
    if elements.isEmpty {
      throw .invalid("messages is empty: at least one is needed", param: "messages", code: "invalid_value")
    }
    for (index, element) in elements.enumerated() { try append(element, path: "messages[\(index)]") }
  }

  private mutating func append(_ node: JSONNode, path: String) throws(APIError) {
    var fields = try FieldReader(node, path: path)
    var message = ChatMessage(role: try Self.role(&fields), content: "")
    if message.role == "tool" {
      message.toolCallID = try fields.string("tool_call_id")
      message.name = try fields.string("name")
      try requireCall(message.toolCallID, path: path)
    } else {
      // Who speaks within a role: no template asks for it.
      _ = try fields.string("name")
    }
    if message.role == "assistant" {
      message.toolCalls = try Self.calls(&fields)
      calls.formUnion(message.toolCalls.map(\.id))
      let newer = try fields.string("reasoning")
      message.reasoning = try fields.string("reasoning_content") ?? newer
      try fields.unsupported("function_call")
      try fields.unsupported("audio")
    }
    let refusal = try fields.string("refusal")
    if let content = fields.node("content") {
      message.content = try Self.text(of: content, &fields)
    } else if let refusal {
      message.content = refusal
    } else if message.toolCalls.isEmpty, message.reasoning == nil {
      _ = try fields.required("content")
    }
    if message.content.utf8.contains(0) {
      throw .invalid(
        "\(path).content contains a NUL character", param: "\(path).content", code: "invalid_value")
    }
    // What answers carry, sent back as it came.
    for name in ["annotations", "id", "status", "object"] { _ = fields.node(name) }
    try fields.finish()
    messages.append(message)
  }

  private static func role(_ fields: inout FieldReader) throws(APIError) -> String {
    let name = try fields.requiredString("role")
    switch name {
    case "system", "user", "assistant", "tool": return name
    // What newer clients call the system's instructions; chat templates know the older name.
    case "developer": return "system"
    default:
      throw .invalid(
        "\(fields.path).role must be system, developer, user, assistant or tool",
        param: "\(fields.path).role",
        code: "invalid_value")
    }
  }

  private func requireCall(_ id: String?, path: String) throws(APIError) {
    if let id, calls.contains(id) { return }
    if id == nil, !calls.isEmpty { return }
    let what = id.map { "\($0.prefix(64).debugDescription) is the id of" } ?? "there is"
    throw .invalid(
      "\(path) is a tool's result, but \(what) no call of a message before", param: "\(path).tool_call_id",
      code: "invalid_value")
  }

  private static func calls(_ fields: inout FieldReader) throws(APIError) -> [ToolCall] {
    guard let node = fields.node("tool_calls") else { return [] }
    guard case .array(let elements) = node.value else {
      throw fields.wrongType("tool_calls", "an array", node)
    }
    var calls: [ToolCall] = []
    for (index, element) in elements.enumerated() {
      var own = try FieldReader(element, path: fields.path(of: "tool_calls[\(index)]"))
      if let type = own.node("type") { try ChatTools.requireFunction(type, path: own.path(of: "type")) }
      _ = own.node("index")
      let id = try own.string("id") ?? ""
      var function = try FieldReader(try own.required("function"), path: own.path(of: "function"))
      let name = try function.requiredString("name")
      let arguments = try function.string("arguments") ?? "{}"
      try requireObject(arguments, path: function.path(of: "arguments"))
      try function.finish()
      try own.finish()
      calls.append(ToolCall(id: id, name: name, arguments: arguments))
    }
    return calls
  }

  private static func requireObject(_ text: String, path: String) throws(APIError) {
    do {
      if case .object = try JSONReader.read(Array(text.utf8)).value { return }
    } catch {
      throw .invalid("\(path) is not valid JSON: \(error)", param: path, code: "invalid_value")
    }
    throw .invalid("\(path) must be an object, written as a string", param: path, code: "invalid_value")
  }

  private static func text(of content: JSONNode, _ fields: inout FieldReader) throws(APIError) -> String {
    switch content.value {
    case .string(let whole): return whole
    case .array(let parts):
      var joined = ""
      for (index, part) in parts.enumerated() {
        joined += try text(ofPart: part, path: fields.path(of: "content[\(index)]"))
      }
      return joined
    default: throw fields.wrongType("content", "a string or an array of text parts", content)
    }
  }

  private static func text(ofPart part: JSONNode, path: String) throws(APIError) -> String {
    var own = try FieldReader(part, path: path)
    let kind = try own.requiredString("type")
    switch kind {
    case "text", "refusal":
      let piece = try own.requiredString(kind)
      // Where a cache begins is found without being told.
      _ = own.node("cache_control")
      try own.finish()
      return piece
    default:
      throw .invalid(
        "\(path).type: this model reads text only, not \(kind.prefix(32).debugDescription)",
        param: "\(path).type", code: "unsupported_parameter")
    }
  }
}
