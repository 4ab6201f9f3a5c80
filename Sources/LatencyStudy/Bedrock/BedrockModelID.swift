/// The id of a model on Bedrock that answers in the region that was asked.
public struct BedrockModelID: Sendable, Hashable, CustomStringConvertible {
  public let description: String

  /// Why an id is not usable here, for people: what was wrong, and what to write instead.
  public struct Refusal: Error, Equatable, CustomStringConvertible {
    public let description: String
  }

  /// Geographies that cross-region inference profiles begin with.
  private static let geographies: Set<String> = [
    "us", "us-gov", "eu", "apac", "ap", "jp", "au", "ca", "sa", "me", "af", "global",
  ]

  /// - Throws: for an id that is not one, and for inference profiles: with them the provider picks the region for each
  ///   request, so a time measured would belong to no region.
  public init(_ text: String) throws(Refusal) {
    guard (1...2048).contains(text.utf8.count),
      text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), !text.contains("?"), !text.contains("#")
    else {
      throw Refusal(description: "a model id has 1 to 2048 printable ASCII characters without spaces")
    }
    let isName = !text.hasPrefix("arn:")
    if let dot = text.firstIndex(of: "."), isName, Self.geographies.contains(String(text[..<dot])) {
      let name = text[text.index(after: dot)...]
      throw Refusal(
        description:
          "\(text) is an inference profile: the provider picks the region for each request, so the "
          + "time would belong to no region; name the model itself, such as \(name)")
    }
    if !isName, text.contains(":inference-profile/") || text.contains(":application-inference-profile/") {
      throw Refusal(
        description:
          "\(text) is an inference profile: the provider picks the region for each request, so the "
          + "time would belong to no region; name the model itself")
    }
    description = text
  }

  /// The path of a request, percent-encoded for the wire: `:` and `/` of the id too.
  ///
  /// - Parameter operation: "converse-stream" or "invoke-with-response-stream"
  public func path(_ operation: String) -> String {
    let id = SignatureV4.encoded(description).replacing("/", with: "%2F")
    return "/model/\(id)/\(operation)"
  }
}
