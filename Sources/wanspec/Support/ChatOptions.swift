import ArgumentParser
import CommandSettings
import Serving

/// How conversations become prompts, and answers their parts.
struct ChatOptions: ParsableArguments {
  @Option(Settings.chatTemplate) var template: String?

  @Option(Settings.chatTemplateArguments) var arguments: String?

  @Option(Settings.reasoningFormat) var reasoning: String?

  mutating func validate() throws {
    template = try Settings.chatTemplate.resolve(template)
    arguments = try Settings.chatTemplateArguments.resolve(arguments)
    reasoning = try Settings.reasoningFormat.resolve(reasoning)
    if !["auto", "deepseek", "none"].contains(reasoning!) {
      throw ValidationError("--reasoning-format must be auto, deepseek or none, not \(reasoning!).")
    }
  }

  func settings() throws -> ChatSettings {
    try ChatSettings(
      templateFile: template, arguments: arguments, separatesReasoning: reasoning! != "none")
  }
}
