import ConstrainedDecoding
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import ModelBackend
import NIOCore
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
  let texts = TextWork()
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

  // MARK: Generations

  func chat(
    _ body: [UInt8], key: KeyIdentity?, connection: ClientConnection, record: RequestRecord
  ) async throws -> Response {
    let limits = configuration.limits
    let request = try await texts.run(bytes: body.count, for: connection) {
      try ChatRequest(body, limits: limits)
    }
    try check(model: request.parameters.model, param: "model")
    if configuration.logsPrompts {
      log.info(
        "prompt", metadata: ["request": "\(record.id)", "messages": "\(request.conversation.messages)"])
    }
    let conversation = conversation(of: request)
    let plan = GenerationPlan(
      parameters: request.parameters, endpoint: .chat, prompts: 1, logprobs: request.topLogprobs,
      showsReasoning: request.showsReasoning, callsOnce: conversation.callsInParallel == false)
    return try await generate(plan, key: key, connection: connection, record: record) { reader in
      try await self.texts.run(bytes: body.count, for: connection) { [try reader.chat(conversation)] }
    }
  }

  /// What the template is given of a request.
  private func conversation(of request: ChatRequest) -> Conversation {
    var conversation = request.conversation
    conversation.separatesReasoning = configuration.separatesReasoning
    conversation.templateArguments.merge(configuration.templateArguments) { own, _ in own }
    switch request.parameters.format {
    case .jsonSchema(let schema): conversation.answerSchema = String(decoding: schema, as: UTF8.self)
    case .jsonObject: conversation.answerSchema = #"{"type":"object"}"#
    case .text, .grammar: break
    }
    return conversation
  }

  /// A chat's prompt as text, as llama-server's `/apply-template`.
  func applyTemplate(_ body: [UInt8], connection: ClientConnection) async throws -> [UInt8] {
    let (limits, reader) = (configuration.limits, reader(for: connection))
    return try await texts.run(bytes: body.count, for: connection) {
      let request = try ChatRequest(body, limits: limits)
      let prompt = try reader.rendered(self.conversation(of: request))
      var json = JSONWriter()
      json.object { $0.member("prompt", prompt.text) }
      return json.bytes
    }
  }

  func completions(
    _ body: [UInt8], key: KeyIdentity?, connection: ClientConnection, record: RequestRecord
  ) async throws -> Response {
    let limits = configuration.limits
    let request = try await texts.run(bytes: body.count, for: connection) {
      try CompletionRequest(body, limits: limits)
    }
    try check(model: request.parameters.model, param: "model")
    if configuration.logsPrompts {
      log.info("prompt", metadata: ["request": "\(record.id)", "prompts": "\(request.prompts)"])
    }
    let plan = GenerationPlan(
      parameters: request.parameters, endpoint: .completions, prompts: request.prompts.count,
      logprobs: request.logprobs)
    return try await generate(plan, key: key, connection: connection, record: record) { reader in
      try await self.texts.run(bytes: body.count, for: connection) {
        try reader.completions(request.prompts, echoes: request.echoes)
      }
    }
  }

  /// What a request asks for, its texts apart.
  private struct GenerationPlan {
    var parameters: GenerationParameters
    var endpoint: ResponseShape.Endpoint
    var prompts: Int
    var logprobs: Int?
    var showsReasoning = true
    var callsOnce = false

    var choices: Int { prompts * parameters.choices }
  }

  /// - Parameter read: makes tokens of the prompts; comes after all that is known without them, since it costs most
  private func generate(
    _ plan: GenerationPlan, key: KeyIdentity?, connection: ClientConnection, record: RequestRecord,
    read: (PromptReader) async throws -> [PromptReader.Prompt]
  ) async throws -> Response {
    let parameters = plan.parameters
    record.generates(
      streamed: parameters.isStreamed, user: configuration.logsUser ? parameters.user : nil)
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
    // Held while its texts are read, too: a key has so many requests that cost something.
    let slot = try limiter.take(plan.choices, key: key, limit: configuration.limits.streamsPerKey)
    // What costs little is refused first.
    let rules = try await rules(parameters.format, connection: connection)
    let prompts = try await read(reader(for: connection))
    let calls = try await callRules(prompts.first?.chat, connection: connection)
    let seed = parameters.seed ?? UInt64.random(in: 0..<1 << 53)
    let shape = ResponseShape(
      endpoint: plan.endpoint, id: (plan.endpoint == .chat ? "chatcmpl-" : "cmpl-") + RandomName.make(),
      created: Int(Date().timeIntervalSince1970), model: parameters.model ?? configuration.modelName,
      fingerprint: "wanspec-" + model.vocabulary.tokens.prefix(12), tokenizer: tokenizer,
      choices: plan.choices, logprobs: plan.logprobs, seed: seed, showsReasoning: plan.showsReasoning)
    let interval = configuration.limits.keepAliveInterval
    let run = ActiveGeneration(
      choices(plan, prompts, seed: seed, speculation: speculation, rules: calls ?? rules), on: node,
      tokenizer: tokenizer, endTokens: model.endTokens, tick: parameters.isStreamed ? interval / 4 : nil,
      registry: registry)
    let answer = AnswerInProgress(
      run: run, shape: shape, slot: slot,
      connection: connection, record: record, metrics: metrics, logger: configuration.logsPrompts ? log : nil)
    if !parameters.isStreamed { return try await answer.whole() }
    return try await answer.streamed(includesUsage: parameters.includesUsage, keepAlive: interval)
  }

  private func choices(
    _ plan: GenerationPlan, _ prompts: [PromptReader.Prompt], seed: UInt64,
    speculation: SpeculationSettings, rules: GrammarRules?
  ) -> [PlannedChoice] {
    let parameters = plan.parameters
    var choices: [PlannedChoice] = []
    for prompt in prompts {
      let room = model.contextLength - prompt.tokens.count
      for choice in 0..<parameters.choices {
        let sampling = parameters.sampling(promptLength: prompt.tokens.count, choice: choice, seed: seed)
        choices.append(
          PlannedChoice(
            index: choices.count,
            request: GenerationRequest(
              prompt: prompt.tokens, sampling: sampling, maxTokens: min(parameters.maxTokens ?? room, room),
              speculation: speculation, grammar: rules.map { grammar($0, prompt) }, logprobs: plan.logprobs,
              ignoresEnd: parameters.ignoresEnd),
            stops: parameters.stop + (prompt.chat?.stops.map { Array($0.utf8) } ?? []),
            countsPrompt: choice == 0, echo: prompt.echo, format: prompt.chat?.format,
            shownTokens: prompt.chat?.shownTokens ?? [], callsOnce: plan.callsOnce))
      }
    }
    return choices
  }

  private func grammar(_ rules: GrammarRules, _ prompt: PromptReader.Prompt) -> Grammar {
    var grammar = Grammar(rules, promptLength: prompt.tokens.count)
    if let chat = prompt.chat, let calls = chat.calls {
      grammar.trigger = calls.trigger
      grammar.beginning = calls.beginning
      for token in chat.shownTokens { grammar.shownTokens[token] = tokenizer.shownBytes(of: token) }
    }
    return grammar
  }

  /// What the template asks of the answer; nil where it asks for nothing.
  private func callRules(_ chat: ChatPrompt?, connection: ClientConnection) async throws -> GrammarRules? {
    guard let calls = chat?.calls else { return nil }
    return try await texts.run(bytes: calls.grammar.utf8.count, for: connection) {
      do {
        let rules = try GrammarRules(calls.grammar)
        if calls.trigger == nil, !rules.allows(beginning: calls.beginning.utf8) {
          throw ConstraintError("the template's prompts end with what no call begins with")
        }
        return rules
      } catch {
        throw APIError.invalid("tools: \(error)", param: "tools", code: "invalid_value")
      }
    }
  }

  private func rules(
    _ format: ResponseFormat, connection: ClientConnection
  ) async throws -> GrammarRules? {
    guard let param = format.param else { return nil }
    return try await texts.run(bytes: format.bytes, for: connection) { [configuration] in
      do {
        return try configuration.makeGrammar(format)
      } catch {
        throw APIError.invalid("\(param): \(error)", param: param, code: "invalid_value")
      }
    }
  }
}
