import Foundation

/// One request as it goes over the wire.
struct ProbeRequest: Sendable {
  /// Percent-encoded.
  var path: String
  /// Lower-case names, `host` first.
  var headers: [(name: String, value: String)]
  var body: [UInt8]

  /// - Parameters:
  ///   - nonce: a text that no other request has; nil where the prompt is to be the same each time
  init(
    target: Target, endpoint: Endpoint, prompt: Campaign.Prompt, nonce: String?, credential: Credential,
    date: Date,
    version: String
  ) throws {
    let text = nonce.map { "[\($0)] \(prompt.text)" } ?? prompt.text
    let sampling: [String: Any] = ["max_tokens": prompt.maxTokens, "temperature": prompt.temperature]
    let fields: [String: Any]
    let tail: String
    switch target.api {
    case .openAIChat:
      fields = sampling.merging([
        "model": target.model, "messages": [["role": "user", "content": text]], "stream": true,
        "stream_options": ["include_usage": true],
      ]) { $1 }
      tail = "/chat/completions"
    case .openAICompletions:
      fields = sampling.merging([
        "model": target.model, "prompt": text, "stream": true, "stream_options": ["include_usage": true],
      ]) { $1 }
      tail = "/completions"
    case .bedrockInvoke:
      fields = sampling.merging([
        "anthropic_version": "bedrock-2023-05-31", "messages": [["role": "user", "content": text]],
      ]) { $1 }
      tail = try BedrockModelID(target.model).path("invoke-with-response-stream")
    case .bedrockConverse:
      fields = [
        "messages": [["role": "user", "content": [["text": text]]]],
        "inferenceConfig": ["maxTokens": prompt.maxTokens, "temperature": prompt.temperature],
      ]
      tail = try BedrockModelID(target.model).path("converse-stream")
    }
    body = Array(
      try JSONSerialization.data(withJSONObject: fields, options: [.sortedKeys, .withoutEscapingSlashes]))
    path = endpoint.path + tail
    headers = [(name: "host", value: endpoint.authority)]
    switch credential {
    case .none: break
    case .bearer(let key): headers.append((name: "authorization", value: "Bearer \(key)"))
    case .keys(let keys):
      headers += SignatureV4(keys: keys, region: target.region.name)
        .headers(method: "POST", path: path, headers: headers, body: body, date: date)
    }
    headers += [
      (name: "content-type", value: "application/json"),
      // What is compressed comes in lumps.
      (name: "accept-encoding", value: "identity"),
      (name: "content-length", value: "\(body.count)"),
      (
        name: "accept",
        value: target.api.isBedrock ? "application/vnd.amazon.eventstream" : "text/event-stream"
      ),
      (name: "user-agent", value: "wanspec/\(version)"),
    ]
  }
}

/// What a request shows of who sends it.
public enum Credential: Sendable, Equatable {
  case none
  case bearer(String)
  case keys(SigningKeys)
}
