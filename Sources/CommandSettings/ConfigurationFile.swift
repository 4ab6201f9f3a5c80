import ArgumentParser
import Foundation
import Spelling
import StrictYAML
import Synchronization

/// Settings of a long-running command from a file: `key: value` for each long flag, without its dashes.
///
/// A flag on the command line wins over its environment variable, and that over the file. Keys that no flag asks for
/// are refused, so that a misspelt one never quietly leaves a default in place.
package struct ConfigurationFile: Sendable {
  struct Entry: Sendable {
    var text: String
    var place: YAMLPlace
  }

  let path: String
  let entries: [String: Entry]

  static func read(_ path: String) throws -> ConfigurationFile {
    let document = try YAMLDocument.read(path, kind: ("a configuration", "port: 8080"))
    var entries: [String: Entry] = [:]
    guard case .mapping(let mapping) = document.node.content else {
      return ConfigurationFile(path: path, entries: entries)
    }
    for entry in mapping where !entry.value.isEmpty {
      entries[entry.key] = Entry(text: try text(of: entry.value, key: entry.key), place: entry.place)
    }
    return ConfigurationFile(path: path, entries: entries)
  }

  /// A scalar as it is; a list as its elements with spaces between them, as variables have it.
  private static func text(of node: YAMLNode, key: String) throws -> String {
    switch node.content {
    case .scalar(let text, _): return text
    case .list(let elements):
      return try elements.map { element in
        guard case .scalar(let text, _) = element.content else {
          throw YAMLError(element.place, "\(key) is a list of single values")
        }
        return text
      }.joined(separator: " ")
    case .mapping:
      throw YAMLError(node.place, "\(key) is a single value or a list, not a mapping")
    }
  }

  // MARK: The file of this process

  private static let current = Mutex<ConfigurationFile?>(nil)

  static var installed: ConfigurationFile? { current.withLock { $0 } }

  /// Finds `--config FILE` on the command line, or its variable, before anything else is parsed: option groups
  /// resolve their own values.
  ///
  /// - Parameter commands: those that read one
  package static func install(
    arguments: [String], commands: Set<String>,
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws {
    guard let command = arguments.first, commands.contains(command) else { return }
    var path = environment["WANSPEC_CONFIG"].flatMap { $0.isEmpty ? nil : $0 }
    for (index, argument) in arguments.enumerated() {
      if argument == "--" { break }
      if argument == "--config", index + 1 < arguments.count { path = arguments[index + 1] }
      if argument.hasPrefix("--config=") { path = String(argument.dropFirst("--config=".count)) }
    }
    guard let path else { return }
    let file = try read(path)
    current.withLock { $0 = file }
  }

  /// - Throws: when the file has a key that no option asked for. Call when all have.
  package static func requireAllKeysKnown() throws {
    guard let file = installed else { return }
    let known = SettingRecords.all.map(\.name)
    for (key, entry) in file.entries.sorted(by: { ($0.value.place.line ?? 0) < ($1.value.place.line ?? 0) })
    where !known.contains(key) {
      let hint = NearestName.of(key, among: known.sorted()).map { "did you mean \($0)?" }
      throw ValidationError(
        YAMLError(entry.place, "there is no setting \"\(key)\"", hint: hint).description)
    }
  }
}
