import Foundation
import ProcessControl

/// Says where a document and the program, scripts and files that it speaks of have parted.
actor DocumentCheck {
  static let shared = DocumentCheck()

  private let files = FileManager.default
  /// What the program said to words; empty: nothing against them.
  private var answers: [[String]: String] = [:]
  private var helps: [String: String] = [:]
  private var names: ProgramNames?
  private lazy var sources = readSources()

  /// Commands of others: nothing is said about their flags.
  private static let foreign: Set<String> = [
    "curl", "git", "cat", "swift", "podman", "llama-bench", "cp", "env",
  ]
  /// Folders whose files a document may name.
  private static let folders = [
    "Benchmarks", "dev", "docs", "deploy", "Scenarios", "Sources", "Tests", "Examples",
  ]

  /// A sentence for each thing that is not as the document says.
  func faults(of document: Document) async throws -> [String] {
    var faults = document.faults
    for block in document.blocks where block.language == "sh" {
      for line in ShellLine.lines(of: block.text) {
        for words in line.commands {
          if let fault = try await fault(of: words, isWhole: true) {
            faults.append("\(document.path):\(block.line + line.line): \(fault)")
          }
        }
      }
    }
    for span in document.spans {
      if let fault = try await fault(of: span) { faults.append("\(document.path):\(span.line): \(fault)") }
    }
    for link in document.links {
      if let fault = try fault(ofLink: link.text, in: document) {
        faults.append("\(document.path): \(fault)")
      }
    }
    return faults
  }

  // MARK: Code in a line

  private func fault(of span: Document.Span) async throws -> String? {
    let words = ShellLine.parse(span.text.replacing(/[\[\]]/, with: "")).commands.first ?? []
    let names = try await names()
    let variables = span.text.matches(of: /\bWANSPEC_[A-Z_]*[A-Z]\b/).map { String($0.0) }
    for variable in variables where !names.text.contains(variable) && !sources.contains(variable) {
      return "nothing reads \(variable)"
    }
    guard let first = words.first, !Self.foreign.contains(first) else { return nil }
    if first == "wanspec" || first == "make" || Self.folders.contains(where: { first.hasPrefix($0 + "/") }) {
      return try await fault(of: words, isWhole: false)
    }
    if words.count > 1 {
      // `study resume FILE`, `serve --audit 1%`: a command without the program's name.
      if names.commands[[first, words[1]]] != nil || words[1].hasPrefix("-") && names.commands[[first]] != nil
      {
        return try await fault(of: ["wanspec"] + words, isWhole: false)
      }
      let script = "Benchmarks/\(first)"
      if isFile(script) { return try await fault(of: [script] + words.dropFirst(), isWhole: false) }
    }
    for flag in words.filter({ $0.hasPrefix("--") }) {
      let name = String(flag.prefix { $0 != "=" })
      if !names.flags.contains(name), !sources.contains("\"\(name)\"") { return "there is no flag \(name)" }
    }
    return nil
  }

  // MARK: A command

  /// - Parameter isWhole: it is to be typed like this; otherwise what it needs besides may be left out
  private func fault(of words: [String], isWhole: Bool) async throws -> String? {
    let first = words[0]
    switch first {
    case "wanspec": return try await refusal(of: Array(words.dropFirst()), isWhole: isWhole)
    case "make":
      let makefile = try String(contentsOf: Document.root.appending(path: "Makefile"), encoding: .utf8)
      for word in words.dropFirst() {
        let name = word.prefix { $0 != "=" }
        let known = word.contains("=") ? makefile.contains("\n\(name) ?=") : makefile.contains("\n\(name):")
        if !known { return "the Makefile has no \(name)" }
      }
      return nil
    case _ where Self.folders.contains { first.hasPrefix($0 + "/") }:
      guard !first.contains(/NAME|\.\.\./) else { return nil }
      guard files.fileExists(atPath: Document.root.appending(path: first).path) else {
        return "there is no \(first)"
      }
      guard words.count > 1 else { return nil }
      let help = try await help(ofScript: first)
      let unknown = words.dropFirst().filter { $0.hasPrefix("--") }.first {
        let flag = $0.prefix { $0 != "=" }
        return !help.ranges(of: flag).contains {
          help[$0.upperBound...].first.map { !"-_".contains($0) && !$0.isLetter } ?? true
        }
      }
      return unknown.map { "\(first) --help knows no \($0)" }
    default:
      return Self.foreign.contains(first) || !isWhole ? nil : "what is \(first)?"
    }
  }

  /// What the program's own parser has against the words; nil: nothing.
  ///
  /// A last flag that does not exist keeps the command from running: it is what the parser must complain of, and
  /// it does so after names, values and `validate()`.
  private func refusal(of words: [String], isWhole: Bool) async throws -> String? {
    let words = words.filter { $0 != "--help" }.map {
      // What is installed from deploy/, or stands for it.
      $0 == "FILE" || $0.hasPrefix("/etc/wanspec/serve") ? Document.root.path + "/deploy/serve.yaml" : $0
    }
    if words.isEmpty || words[0] == "COMMAND" { return nil }
    let end = "--the-end-of-the-example"
    if answers[words] == nil {
      let result = try await Program.run(words + [end])
      let message = result.errors.split(separator: "\n").first.map(String.init) ?? "no answer"
      answers[words] = message.contains("'\(end)'") && result.status == 64 ? "" : message
    }
    let message = answers[words] ?? ""
    if message.isEmpty {
      // The unknown flag hides words that are one too many.
      let surplus = try await names().surplus(in: words)
      return surplus.map { "what is \($0) for wanspec \(words[0])?" }
    }
    if !isWhole && message.contains(#/Missing expected argument|Missing value for|Error: Give /#) {
      return nil
    }
    return "wanspec \(words.joined(separator: " ")): \(message)"
  }

  private func help(ofScript path: String) async throws -> String {
    if let known = helps[path] { return known }
    let script = Document.root.appending(path: path)
    let help: String
    if try String(contentsOf: script, encoding: .utf8).hasPrefix("#!/usr/bin/env python3") {
      let child = try await ChildProcess.run(
        path, program: "/usr/bin/env", arguments: ["python3", script.path, "--help"],
        keptOutput: 1 << 16)
      help = child.output + child.errors
    } else {
      // Scripts of the shell say it in their text, where they have flags at all.
      help = try String(contentsOf: script, encoding: .utf8)
    }
    helps[path] = help
    return help
  }

  // MARK: Links

  private func fault(ofLink link: String, in document: Document) throws -> String? {
    guard link.firstMatch(of: /^[a-z]+:/) == nil else { return nil }
    let parts = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
    var target = document
    if !parts[0].isEmpty {
      let folder = Document.root.appending(path: document.path).deletingLastPathComponent()
      let url = folder.appending(path: String(parts[0])).standardizedFileURL
      guard files.fileExists(atPath: url.path) else { return "the link \(link) leads nowhere" }
      guard parts.count > 1 else { return nil }
      target = try Document(path: String(url.path.dropFirst(Document.root.path.count + 1)))
    }
    if parts.count > 1, !target.anchors.contains(String(parts[1])) {
      return "the link \(link): no such heading"
    }
    return nil
  }

  // MARK: What there is

  private func isFile(_ path: String) -> Bool {
    files.fileExists(atPath: Document.root.appending(path: path).path)
  }

  private func names() async throws -> ProgramNames {
    if let names { return names }
    let names = try await ProgramNames.read()
    self.names = names
    return names
  }

  /// The text of all that may read a variable or a flag besides the program.
  private func readSources() -> String {
    var text = ""
    for folder in ["Sources", "dev", "Benchmarks", "Tests", "Package.swift", "Makefile"] {
      let url = Document.root.appending(path: folder)
      let found = files.enumerator(at: url, includingPropertiesForKeys: nil)?.compactMap { $0 as? URL } ?? []
      for file in found + [url] where !file.path.contains("/Tests/CommandLineTests/Documents/") {
        guard !["js", "gz", "json", "md"].contains(file.pathExtension), !file.hasDirectoryPath else {
          continue
        }
        text += (try? String(contentsOf: file, encoding: .utf8)) ?? ""
      }
    }
    return text
  }
}
