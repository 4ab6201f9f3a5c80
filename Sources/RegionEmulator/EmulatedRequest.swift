import Foundation
import LatencyStudy

/// A request that the emulator understands.
struct EmulatedRequest: Sendable, Equatable {
  enum Kind: Sendable, Equatable {
    case clock, models
    case completion(Target.API)
  }

  /// What is wrong with a request: a status, and a word and a sentence for its body.
  struct Refusal: Error, Equatable {
    var status: Int
    var type: String
    var message: String
  }

  var kind: Kind
  var source: String
  var region: String
  var tokens = 0
  var model = ""
  var includesUsage = false

  /// `/{source}/{region}/v1/...` or `/{source}/{region}/model/{id}/...`, and `/clock`.
  init(method: String, path: String, body: [UInt8]) throws(Refusal) {
    source = ""
    region = ""
    let path = path.prefix { $0 != "?" }
    if path == "/clock" {
      kind = .clock
      return
    }
    let parts = path.split(separator: "/", omittingEmptySubsequences: true).map {
      $0.removingPercentEncoding ?? ""
    }
    guard parts.count >= 4 else { throw Self.unknown(path) }
    source = parts[0]
    region = parts[1]
    switch (parts[2], parts.dropFirst(3).joined(separator: "/")) {
    case ("v1", "models"): kind = .models
    case ("v1", "chat/completions"): kind = .completion(.openAIChat)
    case ("v1", "completions"): kind = .completion(.openAICompletions)
    case ("model", _) where parts.count == 5 && parts[4] == "converse-stream":
      kind = .completion(.bedrockConverse)
    case ("model", _) where parts.count == 5 && parts[4] == "invoke-with-response-stream":
      kind = .completion(.bedrockInvoke)
    default: throw Self.unknown(path)
    }
    guard case .completion(let api) = kind else { return }
    guard method == "POST" else {
      throw Refusal(
        status: 405, type: "invalid_request_error", message: "\(method) is not allowed here; use POST")
    }
    let object = (try? JSONSerialization.jsonObject(with: Data(body))) as? [String: Any]
    guard let object else {
      throw Refusal(status: 400, type: "invalid_request_error", message: "the body is no JSON object")
    }
    try read(object, api)
    model = api.isBedrock ? parts[3] : (object["model"] as? String ?? "")
  }

  private mutating func read(_ object: [String: Any], _ api: Target.API) throws(Refusal) {
    let asked: Int?
    switch api {
    case .openAIChat, .openAICompletions:
      guard object["stream"] as? Bool == true else {
        throw Refusal(
          status: 400, type: "invalid_request_error", message: "only streams are emulated: set stream to true"
        )
      }
      guard object[api == .openAIChat ? "messages" : "prompt"] != nil else {
        throw Refusal(status: 400, type: "invalid_request_error", message: "messages or prompt is missing")
      }
      includesUsage = (object["stream_options"] as? [String: Any])?["include_usage"] as? Bool ?? false
      asked = object["max_tokens"] as? Int ?? object["max_completion_tokens"] as? Int
    case .bedrockConverse:
      guard object["messages"] != nil else { throw Self.invalid("messages is missing") }
      asked = (object["inferenceConfig"] as? [String: Any])?["maxTokens"] as? Int
    case .bedrockInvoke:
      guard object["anthropic_version"] as? String == "bedrock-2023-05-31" else {
        throw Self.invalid("anthropic_version must be bedrock-2023-05-31")
      }
      asked = object["max_tokens"] as? Int
    }
    tokens = asked ?? 16
    guard (1...4096).contains(tokens) else { throw Self.invalid("max_tokens must be between 1 and 4096") }
  }

  private static func invalid(_ message: String) -> Refusal {
    Refusal(status: 400, type: "ValidationException", message: message)
  }

  private static func unknown(_ path: some StringProtocol) -> Refusal {
    Refusal(
      status: 404, type: "not_found_error",
      message:
        "nothing at \(path.prefix(200)); paths are /SOURCE/REGION/v1/... and /SOURCE/REGION/model/ID/...")
  }

  /// The JSON of a refusal: OpenAI's form, with the `message` that AWS's clients look for.
  static func body(_ refusal: Refusal) -> [UInt8] {
    let object: [String: Any] = [
      "error": ["type": refusal.type, "message": refusal.message], "message": refusal.message,
    ]
    let data = try? JSONSerialization.data(
      withJSONObject: object, options: [.sortedKeys, .withoutEscapingSlashes])
    return Array(data ?? Data())
  }
}
