import Foundation
import Gateway
import StrictJSON

/// How conversations become prompts, and answers their parts.
public struct ChatSettings: Sendable {
  /// Bytes of a template file at most.
  public static let maxTemplateBytes = 1 << 20

  /// Jinja, instead of the model's own.
  public private(set) var template: String?
  private var arguments: [String: String] = [:]
  private var separatesReasoning = true

  /// - Parameters:
  ///   - templateFile: path of a Jinja template; nil: the model's own
  ///   - arguments: a JSON object of variables for the template; nil: none
  ///   - separatesReasoning: whether thoughts have a field of their own
  /// - Throws: `ServingError` for a file that cannot be read, or arguments that are none
  public init(templateFile: String?, arguments: String?, separatesReasoning: Bool) throws {
    self.separatesReasoning = separatesReasoning
    if let templateFile { template = try Self.read(templateFile) }
    if let arguments { self.arguments = try Self.parse(arguments) }
  }

  public func apply(to configuration: inout GatewayConfiguration) {
    configuration.templateArguments = arguments
    configuration.separatesReasoning = separatesReasoning
  }

  private static func read(_ path: String) throws -> String {
    func refusal(_ problem: String) -> ServingError {
      ServingError(
        .invalidChat, "--chat-template \(path): \(problem)", hint: "name a file with a Jinja template")
    }
    guard let file = FileHandle(forReadingAtPath: path) else { throw refusal("it cannot be read") }
    defer { try? file.close() }
    guard let data = try? file.read(upToCount: maxTemplateBytes + 1), !data.isEmpty else {
      throw refusal("it is empty, or no file")
    }
    if data.count > maxTemplateBytes { throw refusal("it has more than \(maxTemplateBytes) bytes") }
    guard let text = String(validating: data, as: UTF8.self) else { throw refusal("it is not UTF-8") }
    return text
  }

  private static func parse(_ text: String) throws -> [String: String] {
    let hint = #"write a JSON object, such as {"enable_thinking": false}"#
    let bytes = Array(text.utf8)
    do {
      let node = try JSONReader.read(bytes)
      if case .object(let members) = node.value {
        return Dictionary(
          uniqueKeysWithValues: members.map {
            ($0.key, String(decoding: bytes[$0.node.range], as: UTF8.self))
          })
      }
    } catch {
      throw ServingError(.invalidChat, "--chat-template-kwargs: \(error)", hint: hint)
    }
    throw ServingError(.invalidChat, "--chat-template-kwargs is no object", hint: hint)
  }
}
