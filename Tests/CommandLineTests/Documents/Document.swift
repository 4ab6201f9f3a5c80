import Foundation
import Testing

/// What a reader of one file of the repository is told to type, and where he is sent to.
struct Document: Sendable {
  /// Text between fences.
  struct Block: Sendable {
    /// Of the opening fence, from 1.
    var line: Int
    var language: String
    var text: String
    /// Of `<!-- not run: REASON -->` on the line before.
    var reasonNotToRun: String?
    /// Of `<!-- file: NAME -->` there: what the text is called by commands of the document.
    var file: String?
  }

  /// Code in a line, or a line of a comment that is one.
  struct Span: Sendable {
    var line: Int
    var text: String
  }

  /// From the repository's root.
  var path: String
  var blocks: [Block] = []
  var spans: [Span] = []
  /// Targets of links.
  var links: [Span] = []
  /// What a link may have after `#`, as GitHub makes it of headings.
  var anchors: Set<String> = []
  /// What is wrong with the document as such.
  var faults: [String] = []

  static let root = ServeTests.root

  /// All documents, and the files whose comments are: units, container file, scenarios. The list of changes is left
  /// out: what it names may be gone.
  static func all() throws -> [Document] {
    let files = try #require(
      FileManager.default.enumerator(
        at: root, includingPropertiesForKeys: nil, options: [.skipsHiddenFiles]))
    var paths: [String] = []
    for case let file as URL in files {
      let path = String(file.path.dropFirst(root.path.count + 1))
      let isDocument =
        path.hasSuffix(".md") && path != "CHANGELOG.md" && !path.contains("/Resources/")
      let isCommented = path.hasPrefix("deploy/") || path.hasPrefix("Scenarios/") && path.hasSuffix(".yaml")
      if isDocument || isCommented, !file.hasDirectoryPath { paths.append(path) }
    }
    return try paths.sorted().map { try Document(path: $0) }
  }

  init(path: String) throws {
    let text = try String(contentsOf: Self.root.appending(path: path), encoding: .utf8)
    self.init(path: path, text: text)
  }

  init(path: String, text: String) {
    self.path = path
    if path.hasSuffix(".md") { readMarkdown(text) } else { readComments(text) }
  }

  private mutating func readMarkdown(_ text: String) {
    var open: Block?
    var prose = ""
    var before = ""
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let trimmed = line.trimmingCharacters(in: .whitespaces)
      defer { if open == nil { before = trimmed } }
      if trimmed.hasPrefix("```") {
        prose += "\n"
        if let block = open {
          blocks.append(block)
          open = nil
        } else {
          let reason = before.firstMatch(of: /^<!-- not run: (.+) -->$/).map { String($0.1) }
          let file = before.firstMatch(of: /^<!-- file: (\S+) -->$/).map { String($0.1) }
          open = Block(
            line: index + 1, language: String(trimmed.dropFirst(3)), text: "", reasonNotToRun: reason,
            file: file)
          if open?.language.isEmpty == true {
            faults.append("\(path):\(index + 1): the block does not say what it is: sh, text, yaml ...")
          }
        }
      } else if open != nil {
        open?.text += line + "\n"
        prose += "\n"
      } else {
        if line.hasPrefix("#") { anchors.insert(Self.anchor(line)) }
        prose += line + "\n"
      }
    }
    if let open { faults.append("\(path):\(open.line): the block has no end") }
    // A span may go on in the next line; backticks in a table or a sentence come in pairs within a paragraph.
    for match in prose.matches(of: /`([^`\n]+(?:\n[^`\n]+)?)`/) {
      spans.append(
        Span(
          line: prose[..<match.range.lowerBound].count { $0 == "\n" } + 1,
          text: String(match.1).replacing("\n", with: " ")))
    }
    for match in prose.replacing(/`[^`\n]*`/, with: "x").matches(of: /\]\(([^)\s]+)\)/) {
      links.append(Span(line: 0, text: String(match.1)))
    }
  }

  /// Code in comments, and lines of comments, units and container files that run the program.
  private mutating func readComments(_ text: String) {
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      func add(_ text: some StringProtocol) { spans.append(Span(line: index + 1, text: String(text))) }
      for match in line.matches(of: /`([^`]+)`/) { add(match.1) }
      let bare = line.replacing(/`[^`]+`/, with: "")
      if let match = bare.firstMatch(of: /(?:podman run|sudo -u|ExecStart=|first:).*?\b(wanspec [a-z].*)$/) {
        add(match.1.replacing("wanspec wanspec ", with: "wanspec "))
      }
      if let match = bare.firstMatch(of: /^CMD \[(.*)\]$/) {
        add("wanspec " + match.1.replacing("\"", with: "").replacing(",", with: ""))
      }
    }
  }

  /// GitHub's: lower case, letters, digits, `_` and `-` stay, spaces become hyphens.
  static func anchor(_ heading: some StringProtocol) -> String {
    let text = heading.drop { $0 == "#" }.trimmingCharacters(in: .whitespaces).lowercased()
    return String(text.filter { $0.isLetter || $0.isNumber || "_- ".contains($0) }).replacing(" ", with: "-")
  }
}
