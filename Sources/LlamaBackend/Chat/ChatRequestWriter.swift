import ModelBackend
import StrictJSON

/// Writes a conversation as llama.cpp's template engine takes it: OpenAI's messages and tools.
struct ChatRequestWriter {
  private let conversation: Conversation
  /// What becomes of text that somebody wrote.
  private let mark: (String) -> String

  init(_ conversation: Conversation, mark: @escaping (String) -> String) {
    self.conversation = conversation
    self.mark = mark
  }

  func write(to json: inout JSONWriter) {
    json.object { json in
      json.key("messages")
      json.array { json in for message in conversation.messages { write(message, to: &json) } }
      if !conversation.tools.isEmpty {
        json.key("tools")
        json.array { json in for tool in conversation.tools { write(tool, to: &json) } }
        json.member("tool_choice", conversation.toolChoice.rawValue)
        if let parallel = conversation.callsInParallel { json.member("parallel_tool_calls", parallel) }
      }
      json.member("reasoning_format", conversation.separatesReasoning ? "deepseek" : "none")
      if let schema = conversation.answerSchema { json.member("json_schema", schema) }
      json.member("enable_thinking", conversation.thinks)
      json.member("continue_final_message", conversation.continuesLastMessage)
      json.key("chat_template_kwargs")
      json.object { json in
        for (name, value) in conversation.templateArguments.sorted(by: { $0.key < $1.key }) {
          json.key(name)
          JSONText.rewrite(value, to: &json, mark: mark)
        }
      }
    }
  }

  private func write(_ message: ChatMessage, to json: inout JSONWriter) {
    json.object { json in
      json.member("role", message.role)
      json.member("content", mark(message.content))
      if let reasoning = message.reasoning { json.member("reasoning_content", mark(reasoning)) }
      if let id = message.toolCallID { json.member("tool_call_id", mark(id)) }
      if let name = message.name { json.member("name", mark(name)) }
      guard !message.toolCalls.isEmpty else { return }
      json.key("tool_calls")
      json.array { json in
        for call in message.toolCalls {
          json.object { json in
            json.member("id", mark(call.id))
            json.member("type", "function")
            json.key("function")
            json.object { json in
              json.member("name", mark(call.name))
              json.member("arguments", JSONText.marked(call.arguments, mark: mark))
            }
          }
        }
      }
    }
  }

  private func write(_ tool: ChatTool, to json: inout JSONWriter) {
    json.object { json in
      json.member("type", "function")
      json.key("function")
      json.object { json in
        json.member("name", tool.name)
        json.member("description", tool.description)
        json.key("parameters")
        json.literal(tool.parameters.utf8)
      }
    }
  }
}

/// JSON inside of text.
enum JSONText {
  /// A document with marks in its strings; as it was written where it needs none.
  static func marked(_ text: String, mark: (String) -> String) -> String {
    let plain = unescaped(text)
    if mark(plain) == plain { return text }
    if plain == text { return mark(text) }
    var json = JSONWriter()
    rewrite(text, to: &json, mark: mark)
    return String(decoding: json.bytes, as: UTF8.self)
  }

  /// Writes a document again with other strings. What is none is written as a string.
  static func rewrite(_ text: String, to json: inout JSONWriter, mark: (String) -> String) {
    let bytes = Array(text.utf8)
    guard let node = try? JSONReader.read(bytes) else {
      json.value(mark(text))
      return
    }
    write(node, of: bytes, to: &json, mark: mark)
  }

  private static func write(
    _ node: JSONNode, of bytes: [UInt8], to json: inout JSONWriter, mark: (String) -> String
  ) {
    switch node.value {
    case .string(let text): json.value(mark(text))
    case .array(let elements):
      json.array { json in for element in elements { write(element, of: bytes, to: &json, mark: mark) } }
    case .object(let members):
      json.object { json in
        for member in members {
          json.key(mark(member.key))
          write(member.node, of: bytes, to: &json, mark: mark)
        }
      }
    // Numbers as they were written.
    case .null, .bool, .integer, .real: json.literal(bytes[node.range])
    }
  }

  /// Its text without escapes, for whoever looks for something in it.
  static func unescaped(_ text: String) -> String {
    guard let node = try? JSONReader.read(Array(text.utf8)) else { return text }
    var strings: [String] = []
    func collect(_ node: JSONNode) {
      switch node.value {
      case .string(let text): strings.append(text)
      case .array(let elements): elements.forEach(collect)
      case .object(let members):
        for member in members {
          strings.append(member.key)
          collect(member.node)
        }
      case .null, .bool, .integer, .real: break
      }
    }
    collect(node)
    return strings.joined(separator: "\n")
  }
}

/// Members of an object that the template engine wrote; what is missing is empty.
struct Fields {
  private let members: [JSONMember]

  init(_ node: JSONNode) {
    if case .object(let members) = node.value { self.members = members } else { members = [] }
  }

  private subscript(_ name: String) -> JSONNode.Value? { members.first { $0.key == name }?.node.value }

  func string(_ name: String) -> String {
    if case .string(let text) = self[name] { text } else { "" }
  }

  func bool(_ name: String) -> Bool {
    if case .bool(let flag) = self[name] { flag } else { false }
  }

  func integer(_ name: String) -> Int? {
    if case .integer(let number) = self[name] { Int(exactly: number) } else { nil }
  }

  func strings(_ name: String) -> [String] {
    guard case .array(let elements) = self[name] else { return [] }
    return elements.compactMap { if case .string(let text) = $0.value { text } else { nil } }
  }

  func objects(_ name: String) -> [Fields] {
    guard case .array(let elements) = self[name] else { return [] }
    return elements.map(Fields.init)
  }
}

extension StringProtocol {
  var trimmingWhitespace: String {
    let start = firstIndex { !$0.isWhitespace } ?? endIndex
    let end = lastIndex { !$0.isWhitespace }.map(index(after:)) ?? start
    return String(self[start..<end])
  }
}
