import Foundation
import LatencyStudy

/// A request that the emulator understands.
struct EmulatedRequest: Sendable, Equatable {
  enum Kind: Sendable, Equatable {
    case clock, models
    case completion(Target.API)
  }

  /// What is wrong with a request.
  struct Refusal: Error, Equatable {
    var status: Int
    /// In AWS's words; nil stands for the usual one of the status.
    var exception: String?
    var message: String

    init(status: Int, exception: String? = nil, message: String) {
      self.status = status
      self.exception = exception
      self.message = message
    }
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
      throw Refusal(status: 405, message: "\(method) is not allowed here; use POST")
    }
    let object = (try? JSONSerialization.jsonObject(with: Data(body))) as? [String: Any]
    guard let object else {
      throw Self.invalid("the body is no JSON object")
    }
    try read(object, api)
    model = api.isBedrock ? parts[3] : (object["model"] as? String ?? "")
  }

  private mutating func read(_ object: [String: Any], _ api: Target.API) throws(Refusal) {
    let asked: Int?
    switch api {
    case .openAIChat, .openAICompletions:
      guard object["stream"] as? Bool == true else {
        throw Self.invalid("only streams are emulated: set stream to true")
      }
      guard object[api == .openAIChat ? "messages" : "prompt"] != nil else {
        throw Self.invalid("\(api == .openAIChat ? "messages" : "prompt") is missing")
      }
      includesUsage = (object["stream_options"] as? [String: Any])?["include_usage"] as? Bool ?? false
      let older = try Self.count(object["max_tokens"], "max_tokens")
      let newer = try Self.count(object["max_completion_tokens"], "max_completion_tokens")
      asked = older ?? newer
    case .bedrockConverse:
      guard object["messages"] != nil else { throw Self.invalid("messages is missing") }
      asked = try Self.count((object["inferenceConfig"] as? [String: Any])?["maxTokens"], "maxTokens")
    case .bedrockInvoke:
      guard object["anthropic_version"] as? String == "bedrock-2023-05-31" else {
        throw Self.invalid("anthropic_version must be bedrock-2023-05-31")
      }
      guard object["messages"] != nil else { throw Self.invalid("messages is missing") }
      asked = try Self.count(object["max_tokens"], "max_tokens")
    }
    tokens = asked ?? 16
    guard (1...4096).contains(tokens) else { throw Self.invalid("max_tokens must be between 1 and 4096") }
  }

  /// - Returns: nil where it is absent
  private static func count(_ value: Any?, _ name: String) throws(Refusal) -> Int? {
    guard let value, !(value is NSNull) else { return nil }
    guard let count = value as? Int else { throw invalid("\(name) must be a whole number") }
    return count
  }

  private static func invalid(_ message: String) -> Refusal { Refusal(status: 400, message: message) }

  private static func unknown(_ path: some StringProtocol) -> Refusal {
    Refusal(
      status: 404,
      message:
        "nothing at \(path.prefix(200)); paths are /SOURCE/REGION/v1/... and /SOURCE/REGION/model/ID/...")
  }

  /// Whether a path belongs to Bedrock, for errors in its form.
  static func isBedrock(path: String) -> Bool {
    let parts = path.split(separator: "/")
    return parts.count > 2 && parts[2] == "model"
  }
}

extension EmulatedRequest.Refusal {
  /// As AWS names it in `x-amzn-errortype`.
  var exceptionName: String {
    if let exception { return exception }
    return switch status {
    case 401, 403: "AccessDeniedException"
    case 404: "ResourceNotFoundException"
    case 429: "ThrottlingException"
    case 500: "InternalServerException"
    case 503: "ServiceUnavailableException"
    default: "ValidationException"
    }
  }

  /// As OpenAI names it in `error.type`.
  var openAIType: String {
    switch status {
    case 401: "authentication_error"
    case 403: "permission_error"
    case 404: "not_found_error"
    case 429: "rate_limit_error"
    case 500...: "server_error"
    default: "invalid_request_error"
    }
  }

  /// JSON in the form of the API that was asked.
  func body(isBedrock: Bool) -> [UInt8] {
    let object: [String: Any] =
      isBedrock ? ["message": message] : ["error": ["type": openAIType, "message": message]]
    let data = try? JSONSerialization.data(
      withJSONObject: object, options: [.sortedKeys, .withoutEscapingSlashes])
    return Array(data ?? Data())
  }

  func headers(isBedrock: Bool) -> [(String, String)] {
    (isBedrock ? [("x-amzn-errortype", exceptionName)] : []) + (status == 429 ? [("retry-after", "1")] : [])
  }
}

extension EmulatedRegions.FaultKind {
  /// What is answered instead of a stream; nil for faults that begin with status 200.
  var refusal: EmulatedRequest.Refusal? {
    switch self {
    case .throttle: .init(status: 429, message: "Too many requests, please wait.")
    case .error: .init(status: 500, message: "An emulated failure.")
    case .unavailable: .init(status: 503, message: "Not available.")
    case .forbidden: .init(status: 403, message: "You may not use this model.")
    case .nothing, .atOnce, .stall, .reset, .truncate, .malformed, .crc, .exception: nil
    }
  }
}
