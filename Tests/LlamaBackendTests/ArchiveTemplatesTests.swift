import ConstrainedDecoding
import Foundation
import LlamaBackend
import ModelBackend
import ModelStore
import Testing

enum ArchiveTemplates {
  static let files: [URL] = {
    let manager = FileManager.default
    let cache = ModelStore.cacheDirectory().appending(path: "llama")
    let sources = (try? manager.contentsOfDirectory(at: cache, includingPropertiesForKeys: nil)) ?? []
    for source in sources where source.lastPathComponent.hasPrefix("source-") {
      let folder = source.appending(path: "models/templates")
      let files = (try? manager.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
      let templates = files.filter { $0.pathExtension == "jinja" }
      if !templates.isEmpty { return templates.sorted { $0.path < $1.path } }
    }
    return []
  }()
}

/// The chat templates that llama.cpp's archive has, of models of all families: each renders conversations of every kind,
/// its grammars can be followed, and plain answers and calls are read as what they are.
@Suite(
  .enabled(
    if: TestModel.isAvailable && !ArchiveTemplates.files.isEmpty, "llama.cpp's source is not in the cache"))
struct ArchiveTemplatesTests {
  private static let tools = [
    ChatTool(
      name: "weather", description: "Of a city",
      parameters:
        #"{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}},"required":["city"]}"#
    ),
    ChatTool(name: "now", description: "The time", parameters: #"{"type":"object","properties":{}}"#),
  ]

  private static func conversations() -> [(name: String, Conversation)] {
    let user = ChatMessage(role: "user", content: "What is the weather in Paris?")
    let call = ToolCall(id: "call_123", name: "weather", arguments: #"{"city":"Paris"}"#)
    let history = [
      user, ChatMessage(role: "assistant", content: "", toolCalls: [call]),
      ChatMessage(role: "tool", content: "Sunny", toolCallID: "call_123", name: "weather"),
    ]
    let answered = [
      ChatMessage(role: "system", content: "Be brief."), user,
      ChatMessage(role: "assistant", content: "Sunny."), user,
    ]
    return [
      ("a question", Conversation(messages: [user])), ("several turns", Conversation(messages: answered)),
      ("without thoughts", Conversation(messages: [user], thinks: false)),
      ("tools", Conversation(messages: [user], tools: tools)),
      ("tools, one of them", Conversation(messages: [user], tools: tools, toolChoice: .required)),
      ("a tool's result", Conversation(messages: history, tools: tools)),
    ]
  }

  @Test func allOfThemWork() async throws {
    let engine = try await TestModel.load()
    let tokenizer = try #require(engine.tokenizer as? LlamaTokenizer)
    var callers = 0
    for file in ArchiveTemplates.files {
      let name = file.deletingPathExtension().lastPathComponent
      let template = try String(contentsOf: file, encoding: .utf8)
      let own = tokenizer.using(template: template)
      for (kind, conversation) in Self.conversations() {
        do {
          let prompt = try own.render(conversation)
          try check(prompt, conversation, "\(name), \(kind)")
          if conversation.toolChoice == .required, prompt.calls != nil { callers += 1 }
        } catch let error as ModelError where "\(error)".contains("roles must alternate") {
          // Gemma 2 knows no tools.
          #expect(!conversation.tools.isEmpty, "\(name), \(kind): \(error)")
        } catch {
          Issue.record("\(name), \(kind): \(error)")
        }
      }
    }
    #expect(callers >= ArchiveTemplates.files.count - 8, "\(callers) can be made to call a tool")
  }

  private func check(_ prompt: ChatPrompt, _ conversation: Conversation, _ what: String) throws {
    #expect(prompt.text.contains("Paris"), "\(what)")
    if let calls = prompt.calls {
      let rules = try GrammarRules(calls.grammar)
      if let trigger = calls.trigger {
        #expect(!trigger.words.isEmpty || !trigger.patterns.isEmpty, "\(what)")
      } else {
        #expect(rules.allows(beginning: calls.beginning.utf8), "\(what): \(calls.beginning.debugDescription)")
      }
    }
    guard conversation.tools.isEmpty, let format = prompt.format else { return }
    // Thoughts where the prompt has opened them; nothing where the format demands more.
    let parts = (try? format.reader().read("Sunny", isComplete: false)) ?? []
    #expect(parts.isEmpty || parts.map(\.text).joined().hasSuffix("Sunny"), "\(what): \(parts)")
  }
}
