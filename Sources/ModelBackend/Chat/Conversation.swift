/// What a chat template makes a prompt of.
public struct Conversation: Hashable, Sendable {
  public var messages: [ChatMessage]
  public var tools: [ChatTool]
  public var toolChoice: ToolChoice
  /// Whether an answer may have several calls; nil: as the template can.
  public var callsInParallel: Bool?
  /// Whether a model that can reason before it answers does.
  public var thinks: Bool
  /// Whether what it thinks is told apart from what it answers.
  public var separatesReasoning = true
  /// A JSON Schema of what it answers, its calls and thoughts apart.
  public var answerSchema: String?
  /// Variables of the template beside its usual ones, as JSON, by name.
  public var templateArguments: [String: String]
  /// The last message is the assistant's, and the answer goes on with it.
  public var continuesLastMessage: Bool
  /// Users' text may hold control tokens: `<|im_end|>` in it ends their turn.
  public var trustsControlText: Bool

  public init(
    messages: [ChatMessage], tools: [ChatTool] = [], toolChoice: ToolChoice = .auto,
    callsInParallel: Bool? = nil, thinks: Bool = true, templateArguments: [String: String] = [:],
    continuesLastMessage: Bool = false, trustsControlText: Bool = false
  ) {
    self.messages = messages
    self.tools = tools
    self.toolChoice = toolChoice
    self.callsInParallel = callsInParallel
    self.thinks = thinks
    self.templateArguments = templateArguments
    self.continuesLastMessage = continuesLastMessage
    self.trustsControlText = trustsControlText
  }
}

public struct ChatMessage: Hashable, Sendable {
  /// "system", "user", "assistant" or "tool".
  public var role: String
  public var content: String
  /// What an assistant thought before it answered.
  public var reasoning: String?
  /// What an assistant called.
  public var toolCalls: [ToolCall]
  /// Which call a tool's message answers.
  public var toolCallID: String?
  /// Of the tool, where its message says so.
  public var name: String?

  public init(
    role: String, content: String, reasoning: String? = nil, toolCalls: [ToolCall] = [],
    toolCallID: String? = nil, name: String? = nil
  ) {
    self.role = role
    self.content = content
    self.reasoning = reasoning
    self.toolCalls = toolCalls
    self.toolCallID = toolCallID
    self.name = name
  }
}

public struct ToolCall: Hashable, Sendable {
  public var id: String
  public var name: String
  /// JSON, as the model wrote it.
  public var arguments: String

  public init(id: String, name: String, arguments: String) {
    self.id = id
    self.name = name
    self.arguments = arguments
  }
}

/// A function that the model may call.
public struct ChatTool: Hashable, Sendable {
  public var name: String
  public var description: String
  /// A JSON Schema of an object.
  public var parameters: String

  public init(name: String, description: String, parameters: String) {
    self.name = name
    self.description = description
    self.parameters = parameters
  }
}

public enum ToolChoice: String, Hashable, Sendable {
  case none, auto, required
}
