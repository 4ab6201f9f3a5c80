import Foundation

/// Commands and flags, as the program describes itself.
struct ProgramNames {
  struct Command {
    /// Whether each takes a value.
    var flags: [String: Bool] = [:]
    /// How many words it takes that belong to no flag.
    var places = 0
  }

  private(set) var commands: [[String]: Command] = [:]
  private(set) var flags: Set<String> = ["--help", "--version"]
  /// All that help says, variables included.
  private(set) var text = ""

  private struct Tool: Decodable {
    struct Argument: Decodable {
      struct Name: Decodable { var name: String }
      var kind: String
      var names: [Name]?
      var isRepeating: Bool
    }
    struct Command: Decodable {
      var commandName: String
      var subcommands: [Command]?
      var arguments: [Argument]?
    }
    var command: Command
  }

  static func read() async throws -> ProgramNames {
    let dump = try await Program.run(["--experimental-dump-help"])
    let tool = try JSONDecoder().decode(Tool.self, from: Data(dump.output.utf8))
    var names = ProgramNames()
    names.text = dump.output
    names.add(tool.command, at: [])
    return names
  }

  private mutating func add(_ command: Tool.Command, at path: [String]) {
    var known = Command()
    for argument in command.arguments ?? [] {
      for name in argument.names ?? [] { known.flags["--\(name.name)"] = argument.kind == "option" }
      if argument.kind == "positional", known.places < .max {
        known.places = argument.isRepeating ? .max : known.places + 1
      }
    }
    commands[path] = known
    flags.formUnion(known.flags.keys)
    for each in command.subcommands ?? [] { add(each, at: path + [each.commandName]) }
  }

  /// The first word of a command line that neither is a flag nor belongs to one, and is one too many.
  func surplus(in words: [String]) -> String? {
    guard let depth = (0...min(3, words.count)).last(where: { commands[Array(words.prefix($0))] != nil }),
      let command = commands[Array(words.prefix(depth))], depth > 0
    else { return nil }
    var places = command.places
    var isValue = false
    for word in words.dropFirst(depth) {
      if isValue {
        isValue = false
      } else if word.hasPrefix("-") {
        isValue = !word.contains("=") && command.flags[word] == true
      } else {
        guard places > 0 else { return word }
        if places < .max { places -= 1 }
      }
    }
    return nil
  }
}
