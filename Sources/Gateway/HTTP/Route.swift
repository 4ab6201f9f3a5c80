import Foundation
import HTTPTypes

/// What a path leads to.
enum Route {
  case chat, completions, models
  case model(String)
  case tokenize, detokenize, applyTemplate
  /// What this server has not, and many ask for.
  case embeddings
  case ready, live
  case metrics

  init?(path: String) {
    switch path {
    case "/v1/chat/completions": self = .chat
    case "/v1/completions": self = .completions
    case "/v1/models": self = .models
    case "/tokenize": self = .tokenize
    case "/detokenize": self = .detokenize
    case "/apply-template": self = .applyTemplate
    case "/v1/embeddings": self = .embeddings
    case "/health", "/health/ready": self = .ready
    case "/health/live": self = .live
    case "/metrics": self = .metrics
    default:
      // Names of models have slashes in them; clients escape them or not.
      guard path.hasPrefix("/v1/models/"), let name = path.dropFirst(11).removingPercentEncoding,
        !name.isEmpty
      else { return nil }
      self = .model(name)
    }
  }

  /// The same for all paths of one kind, so that metrics have few series.
  var name: String {
    switch self {
    case .chat: "/v1/chat/completions"
    case .completions: "/v1/completions"
    case .models: "/v1/models"
    case .model: "/v1/models/{id}"
    case .tokenize: "/tokenize"
    case .detokenize: "/detokenize"
    case .applyTemplate: "/apply-template"
    case .embeddings: "/v1/embeddings"
    case .ready: "/health/ready"
    case .live: "/health/live"
    case .metrics: "/metrics"
    }
  }

  /// Open to everybody.
  var isHealth: Bool {
    switch self {
    case .ready, .live: true
    default: false
    }
  }

  var methods: [HTTPRequest.Method] {
    switch self {
    case .chat, .completions, .tokenize, .detokenize, .applyTemplate, .embeddings: [.post]
    case .models, .model, .ready, .live, .metrics: [.get, .head]
    }
  }

  static let paths = [
    "/v1/chat/completions", "/v1/completions", "/v1/models", "/tokenize", "/detokenize", "/apply-template",
    "/health/ready", "/health/live", "/metrics",
  ]
}
