/// Commands as a shell would take them apart, for documents: quotes, comments, continued lines, pipes, redirections.
struct ShellLine: Sendable, Equatable {
  /// Within its block, from 1.
  var line: Int
  /// As it stands there, continued lines joined, without its comment.
  var text: String
  /// The words of each command of the line, without assignments before and redirections behind.
  var commands: [[String]]

  /// The commands of a block.
  static func lines(of block: String) -> [ShellLine] {
    var result: [ShellLine] = []
    var pending = ""
    var begin = 1
    for (index, line) in block.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      if pending.isEmpty { begin = index + 1 }
      if line.hasSuffix("\\") {
        pending += line.dropLast()
        continue
      }
      let whole = pending + line
      pending = ""
      let (text, commands) = parse(whole)
      if !commands.isEmpty { result.append(ShellLine(line: begin, text: text, commands: commands)) }
    }
    return result
  }

  static func parse(_ line: String) -> (text: String, commands: [[String]]) {
    var text = ""
    var commands: [[String]] = []
    var words: [String] = []
    var word: String?
    var quote: Character?
    func endWord() {
      if let ended = word { words.append(ended) }
      word = nil
    }
    func endCommand() {
      endWord()
      let command = bare(words)
      if !command.isEmpty { commands.append(command) }
      words = []
    }
    for character in line {
      if quote == nil, character == "#", word == nil { break }
      text.append(character)
      if let open = quote {
        if character == open { quote = nil } else { word?.append(character) }
      } else if character == "'" || character == "\"" {
        quote = character
        word = word ?? ""
      } else if "|&;".contains(character) {
        endCommand()
      } else if character == " " {
        endWord()
      } else {
        word = (word ?? "") + String(character)
      }
    }
    endCommand()
    while text.hasSuffix(" ") { text.removeLast() }
    return (text, commands)
  }

  private static func bare(_ words: [String]) -> [String] {
    var words = words[...]
    while let first = words.first, first.firstMatch(of: /^[A-Z_]+=/) != nil { words = words.dropFirst() }
    if let end = words.firstIndex(where: { $0.hasPrefix(">") || $0.hasPrefix("<") || $0 == "2>&1" }) {
      words = words[..<end]
    }
    return Array(words)
  }
}
