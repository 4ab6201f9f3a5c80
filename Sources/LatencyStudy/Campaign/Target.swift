import StudyAnalysis

/// An endpoint that is probed.
public struct Target: Sendable, Hashable {
  /// What is asked, and how the answer streams.
  public enum API: String, Sendable, CaseIterable {
    case openAIChat = "openai-chat"
    case openAICompletions = "openai-completions"
    /// Anthropic's messages in Bedrock's event stream.
    case bedrockInvoke = "bedrock-invoke"
    case bedrockConverse = "bedrock-converse"

    public var isBedrock: Bool { self == .bedrockInvoke || self == .bedrockConverse }
  }

  public enum Authentication: Sendable, Hashable {
    case none
    /// A bearer key from this environment variable.
    case bearer(variable: String)
    /// Signature Version 4 with keys of the usual chain.
    case signature(profile: String?)
  }

  /// USD for a million tokens.
  public struct Price: Sendable, Hashable {
    public var input: Double
    public var output: Double

    public init(input: Double = 0, output: Double = 0) {
      self.input = input
      self.output = output
    }

    public func cost(inputTokens: Int, outputTokens: Int) -> Double {
      (Double(inputTokens) * input + Double(outputTokens) * output) / 1e6
    }
  }

  public var name: String
  public var region: Region
  public var api: API
  /// The base address; `{source}` in it stands for the source's name.
  public var url: String
  public var model: String
  public var authentication: Authentication
  public var price: Price
  /// Certificates to trust instead of the system's, PEM.
  public var certificateAuthority: String?

  public func endpoint(from source: String) throws(Endpoint.Invalid) -> Endpoint {
    try Endpoint(url.replacing("{source}", with: source))
  }
}
