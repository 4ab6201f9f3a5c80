import ConstrainedDecoding
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import ModelBackend
import NIOCore
import NIOPosix
import NodeRuntime
import SpeculationCore
import StrictJSON
import Synchronization

/// What the endpoints do, HTTP apart: from a body to tokens, from tokens to an answer.
final class GenerationService: Sendable {
  let node: ControllerNode
  let model: ModelDescription
  let tokenizer: any Tokenizer
  let configuration: GatewayConfiguration
  let metrics: GatewayMetrics
  let log: Logger
  let registry = GenerationRegistry()
  private let limiter = StreamLimiter()
  private let draining = Atomic(false)
  private let started = Int(Date().timeIntervalSince1970)

  init(
    node: ControllerNode, model: ModelDescription, tokenizer: any Tokenizer,
    configuration: GatewayConfiguration, metrics: GatewayMetrics, log: Logger
  ) {
    self.node = node
    self.model = model
    self.tokenizer = tokenizer
    self.configuration = configuration
    self.metrics = metrics
    self.log = log
  }

  /// No more generations begin.
  var isDraining: Bool { draining.load(ordering: .relaxed) }

  func drain() { draining.store(true, ordering: .relaxed) }

  /// Tokenizers take milliseconds for a long text: not on a thread that serves others.
  private func aside<Result: Sendable>(_ work: @escaping @Sendable () throws -> Result) async throws -> Result
  {
    try await NIOThreadPool.singleton.runIfActive(work)
  }

  // MARK: Models

  private func writeModel(_ name: String, to json: inout JSONWriter) {
    json.object { json in
      json.member("id", name)
      json.member("object", "model")
      json.member("created", started)
      json.member("owned_by", "wanspec")
      json.member("root", configuration.modelName)
      json.member("max_model_len", model.contextLength)
      json.member("description", model.summary)
      if let isDeterministic = configuration.isDeterministic { json.member("deterministic", isDeterministic) }
    }
  }

  private var names: [String] { [configuration.modelName] + configuration.aliases }

  func modelList() -> [UInt8] {
    var json = JSONWriter()
    json.object { json in
      json.member("object", "list")
      json.key("data")
      json.array { json in for name in names { writeModel(name, to: &json) } }
    }
    return json.bytes
  }

  func model(named name: String) throws(APIError) -> [UInt8] {
    try check(model: name, param: nil)
    var json = JSONWriter()
    writeModel(name, to: &json)
    return json.bytes
  }

  private func check(model name: String?, param: String?) throws(APIError) {
    guard let name, !names.contains(name) else { return }
    throw APIError(
      .notFound,
      "the model \(name.prefix(128)) is not served here; there is \(names.joined(separator: ", "))",
      param: param, code: "model_not_found")
  }

  // MARK: Tokens

  func tokenize(_ body: [UInt8]) async throws -> [UInt8] {
    let request = try TokenizeRequest(body, limits: configuration.limits)
    let tokenizer = tokenizer
    let tokens = try await aside {
      try tokenizer.encode(
        request.text, addSpecial: request.addsSpecial, parseSpecial: request.parsesSpecial)
    }
    var json = JSONWriter()
    json.object { json in
      json.key("tokens")
      json.array { json in
        for token in tokens {
          if request.withPieces {
            json.object { json in
              json.member("id", token)
              writePiece(token, to: &json)
            }
          } else {
            json.value(token)
          }
        }
      }
      json.member("count", tokens.count)
      json.member("max_model_len", model.contextLength)
    }
    return json.bytes
  }

  /// As llama-server's: a string where the bytes are one, otherwise the bytes.
  private func writePiece(_ token: TokenID, to json: inout JSONWriter) {
    let bytes = tokenizer.bytes(of: token)
    json.key("piece")
    if let text = String(validating: bytes, as: UTF8.self) {
      json.value(text)
    } else {
      json.array { json in for byte in bytes { json.value(byte) } }
    }
  }

  func detokenize(_ body: [UInt8]) async throws -> [UInt8] {
    let request = try DetokenizeRequest(body, limits: configuration.limits)
    try check(tokens: request.tokens, path: "tokens")
    let text = String(
      decoding: request.tokens.flatMap { tokenizer.bytes(of: $0) }, as: UTF8.self)
    var json = JSONWriter()
    json.object { json in
      json.member("content", text)
      // vLLM's name.
      json.member("prompt", text)
    }
    return json.bytes
  }

  private func check(tokens: [TokenID], path: String) throws(APIError) {
    let size = model.vocabulary.size
    guard let index = tokens.firstIndex(where: { Int($0) >= size }) else { return }
    throw .invalid(
      "\(path)[\(index)] is \(tokens[index]); the vocabulary has \(size) tokens", param: "\(path)[\(index)]",
      code: "invalid_value")
  }

  // MARK: Generations

  func chat(
    _ body: [UInt8], key: KeyIdentity?, connection: ClientConnection, record: RequestRecord
  ) async throws -> Response {
    let request = try ChatRequest(body, limits: configuration.limits)
    try check(model: request.parameters.model, param: "model")
    if configuration.logsPrompts {
      log.info("prompt", metadata: ["request": "\(record.id)", "messages": "\(request.messages)"])
    }
    let tokenizer = tokenizer
    let prompt = try await aside {
      do {
        return try tokenizer.encode(
          try tokenizer.chatPrompt(request.messages), addSpecial: false, parseSpecial: true)
      } catch let error as ModelError where error.code == .unsupportedModel {
        throw APIError.invalid("\(error)", param: "messages")
      }
    }
    return try await generate(
      request.parameters, endpoint: .chat, prompts: [prompt], echoes: [""], logprobs: request.topLogprobs,
      path: "messages", key: key, connection: connection, record: record)
  }

  func completions(
    _ body: [UInt8], key: KeyIdentity?, connection: ClientConnection, record: RequestRecord
  ) async throws -> Response {
    let request = try CompletionRequest(body, limits: configuration.limits)
    try check(model: request.parameters.model, param: "model")
    if configuration.logsPrompts {
      log.info("prompt", metadata: ["request": "\(record.id)", "prompts": "\(request.prompts)"])
    }
    let tokenizer = tokenizer
    for (index, prompt) in request.prompts.enumerated() {
      let path = request.prompts.count == 1 ? "prompt" : "prompt[\(index)]"
      if case .tokens(let tokens) = prompt { try check(tokens: tokens, path: path) }
    }
    let prompts = try await aside {
      try request.prompts.map { prompt in
        switch prompt {
        case .tokens(let tokens): tokens
        case .text(let text): try tokenizer.encode(text, addSpecial: true, parseSpecial: true)
        }
      }
    }
    let echoes = request.prompts.map { prompt in
      guard request.echoes else { return "" }
      switch prompt {
      case .text(let text): return text
      case .tokens(let tokens):
        return String(decoding: tokens.flatMap { tokenizer.bytes(of: $0) }, as: UTF8.self)
      }
    }
    return try await generate(
      request.parameters, endpoint: .completions, prompts: prompts, echoes: echoes,
      logprobs: request.logprobs, path: "prompt", key: key, connection: connection, record: record)
  }

  private func check(prompt: [TokenID], path: String) throws(APIError) {
    if prompt.isEmpty {
      throw .invalid("\(path) is empty: at least one token is needed", param: path, code: "invalid_value")
    }
    if prompt.count >= model.contextLength {
      throw .invalid(
        "\(path) has \(prompt.count) tokens, and the context holds \(model.contextLength), of which the answer"
          + " needs at least one: shorten it", param: path, code: "context_length_exceeded")
    }
  }

  private func generate(
    _ parameters: GenerationParameters, endpoint: ResponseShape.Endpoint, prompts: [[TokenID]],
    echoes: [String], logprobs: Int?, path: String, key: KeyIdentity?, connection: ClientConnection,
    record: RequestRecord
  ) async throws -> Response {
    record.generates(
      streamed: parameters.isStreamed, user: configuration.logsUser ? parameters.user : nil)
    for (index, prompt) in prompts.enumerated() {
      try check(prompt: prompt, path: prompts.count == 1 ? path : "\(path)[\(index)]")
    }
    for bias in parameters.biases where Int(bias.token) >= model.vocabulary.size {
      throw APIError.invalid(
        "logit_bias.\(bias.token): the vocabulary has \(model.vocabulary.size) tokens",
        param: "logit_bias.\(bias.token)", code: "invalid_value")
    }
    let speculation: SpeculationSettings
    do {
      speculation = try configuration.speculation(parameters.speculation)
    } catch {
      throw APIError.invalid("speculation: \(error)", param: "speculation", code: "invalid_value")
    }
    let grammar = try await grammar(parameters.format)
    let count = prompts.count * parameters.choices
    let slot = try limiter.take(count, key: key, limit: configuration.limits.streamsPerKey)
    let seed = parameters.seed ?? UInt64.random(in: 0..<1 << 53)
    var choices: [PlannedChoice] = []
    for (index, prompt) in prompts.enumerated() {
      for choice in 0..<parameters.choices {
        let sampling = parameters.sampling(promptLength: prompt.count, choice: choice, seed: seed)
        let room = model.contextLength - prompt.count
        choices.append(
          PlannedChoice(
            index: choices.count,
            request: GenerationRequest(
              prompt: prompt, sampling: sampling, maxTokens: min(parameters.maxTokens ?? room, room),
              speculation: speculation, grammar: grammar, logprobs: logprobs,
              ignoresEnd: parameters.ignoresEnd),
            stops: parameters.stop, countsPrompt: choice == 0, echo: echoes[index]))
      }
    }
    let shape = ResponseShape(
      endpoint: endpoint, id: (endpoint == .chat ? "chatcmpl-" : "cmpl-") + RandomName.make(),
      created: Int(Date().timeIntervalSince1970), model: parameters.model ?? configuration.modelName,
      fingerprint: "wanspec-" + model.vocabulary.tokens.prefix(12), tokenizer: tokenizer, choices: count,
      logprobs: logprobs, seed: seed)
    let interval = configuration.limits.keepAliveInterval
    let run = ActiveGeneration(
      choices, on: node, tokenizer: tokenizer, endTokens: model.endTokens,
      tick: parameters.isStreamed ? interval / 4 : nil, registry: registry)
    let answer = AnswerInProgress(
      run: run, shape: shape, slot: slot,
      connection: connection, record: record, metrics: metrics, logger: configuration.logsPrompts ? log : nil)
    if !parameters.isStreamed { return try await answer.whole() }
    return try await answer.streamed(includesUsage: parameters.includesUsage, keepAlive: interval)
  }

  private func grammar(_ format: ResponseFormat) async throws(APIError) -> GrammarRules? {
    let param: String
    switch format {
    case .text: return nil
    case .jsonObject, .jsonSchema: param = "response_format"
    case .grammar: param = "grammar"
    }
    do {
      return try await aside { [configuration] in try configuration.makeGrammar(format) }
    } catch {
      throw .invalid("\(param): \(error)", param: param, code: "invalid_value")
    }
  }
}
