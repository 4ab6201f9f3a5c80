import Foundation
import ProcessControl

/// Does what a document says, block by block, in a folder of its own: with small models, on ports that are free, shortened
/// where it would take hours. What listens or keeps trying stays up for what follows.
final class DocumentedRun {
  /// A command that goes on while the next ones are typed.
  private struct Standing {
    var what: String
    var words: [String]
    var child: ChildProcess
    /// Ends by itself, unlike a server.
    var isFinite: Bool { words[1] == "generate" }
    /// What it says when it is what it should be; nil: nothing is waited for.
    var sign: String? {
      ["serve": "ready", "link": "link ready", "worker": "attached to", "study": "time runs"][words[1]]
    }
    /// A worker may have to wait for its controller, which is started later.
    var isReadyAlone: Bool { words[1] != "worker" }
    func value(of flag: String) -> String? { Self.value(of: flag, in: words) }
    static func value(of flag: String, in words: [String]) -> String? {
      words.firstIndex(of: flag).map { words[$0 + 1] }
    }
    var isReady: Bool { sign.map { (child.output + child.errors).contains($0) } ?? true }
  }

  let folder: URL
  private(set) var faults: [String] = []
  private(set) var commands = 0
  private let document: Document
  private var standing: [Standing] = []
  private var environment: [String: String]
  private var ports: [String: String] = [:]

  /// What stands for what takes too long, or is not of this machine. The first whole match of each counts.
  private static let substitutes: [(pattern: String, replacement: String)] = [
    ("qwen2.5-coder-1.5b-instruct-bf16", "smollm2-135m-instruct"),
    ("qwen2.5-coder-0.5b-instruct", "smollm2-135m-instruct-q2_k"),
    // A recording with other models is another recording.
    (#"(trace record .*) Scenarios/recordings/\S+$"#, "$1 again.jsonl.gz"),
    // Nothing leaves the machine.
    (#"controller\.example"#, "localhost"), (#"0\.0\.0\.0:"#, "127.0.0.1:"),
    // A folder on the worker's machine.
    (#"--tls-ca ca\.pem"#, "--tls-ca certs/ca.pem"),
    // One of everything instead of many.
    (#"--limit \d+"#, "--limit 1"), (#"--max-tokens \d+"#, "--max-tokens 4"), (#"--seeds \d+"#, "--seeds 20"),
    (#"(simulate \S+\.yaml)"#, "$1 --set text.texts=1"),
    (#"--set text\.texts=1 (--output \S+)$"#, "--set text.texts=1 --set 'sweep={link.rtt: [0ms, 40ms]}' $1"),
    (#"--set text\.texts=1$"#, "--set text.texts=1 --set 'sweep={link.rtt: [0ms]}'"),
    // For days, towards regions that cost money.
    (#"(study run (?!.*--dry-run).*)$"#, "$1 --dry-run"),
  ]

  init(_ document: Document) throws {
    self.document = document
    let manager = FileManager.default
    folder = manager.temporaryDirectory.appending(path: "wanspec-\(UUID().uuidString)")
    try manager.createDirectory(at: folder, withIntermediateDirectories: true)
    let root = Document.root
    // Copied, since documents write there.
    try manager.copyItem(at: root.appending(path: "Scenarios"), to: folder.appending(path: "Scenarios"))
    try manager.copyItem(
      at: root.appending(path: "Benchmarks/prompts.jsonl"), to: folder.appending(path: "prompts.jsonl"))
    for name in ["Benchmarks", "dev"] {
      try manager.createSymbolicLink(
        at: folder.appending(path: name), withDestinationURL: root.appending(path: name))
    }
    let plan = folder.appending(path: "Scenarios/plans/three-continents.yaml")
    try Self.shortened(String(contentsOf: plan, encoding: .utf8)).write(
      to: plan, atomically: true, encoding: .utf8)
    environment = ProcessInfo.processInfo.environment
    environment["PATH"] = Program.url.deletingLastPathComponent().path + ":" + (environment["PATH"] ?? "")
    let small = [
      "WANSPEC_TARGET": "smollm2-135m-instruct", "WANSPEC_DRAFT": "smollm2-135m-instruct-q2_k",
      "WANSPEC_MAX_TOKENS": "8", "WANSPEC_CONTEXT": "256", "WANSPEC_THREADS": "1",
      "WANSPEC_WAIT_WORKER": "120s",
    ]
    // What a dry run looks for, and sends nowhere.
    let keys = ["AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "OUR_KEY": "none"]
    environment.merge(small.merging(keys) { first, _ in first }) { _, new in new }
    let taken = try (0..<4).map { _ in try UnheardPort() }
    for (port, free) in zip(["7070", "7071", "8080", "8100"], taken) { ports[port] = "\(free.port)" }
    environment["WANSPEC_PORT"] = ports["8080"]
    // An answer that is an error fails the command.
    environment["CURL_HOME"] = folder.path
    try "silent\nshow-error\nfail-with-body\n".write(
      to: folder.appending(path: ".curlrc"), atomically: true, encoding: .utf8)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  /// Runs all blocks; afterwards nothing is left running.
  func run() async throws {
    for block in document.blocks {
      if let name = block.file {
        try Self.shortened(block.text).write(
          to: folder.appending(path: name), atomically: true, encoding: .utf8)
      }
      guard block.language == "sh", block.reasonNotToRun == nil else { continue }
      for line in ShellLine.lines(of: block.text) {
        commands += 1
        try await run(line, at: "\(document.path):\(block.line + line.line)")
      }
    }
    // Workers before the servers that they are attached to, and those once they all are.
    for each in standing where !each.isFinite { try await awaitSign(of: each) }
    for each in standing.reversed() { try await end(each) }
    standing = []
  }

  /// A plan over one text of its recording instead of all.
  private static func shortened(_ file: String) -> String {
    file.replacing("qwen2.5-coder.jsonl.gz}", with: "qwen2.5-coder.jsonl.gz, texts: 1}")
  }

  private func substituted(_ text: String) -> String {
    var text = text
    for (pattern, replacement) in Self.substitutes {
      text = text.replacingOccurrences(of: pattern, with: replacement, options: .regularExpression)
    }
    for (port, free) in ports { text = text.replacing(":\(port)", with: ":\(free)") }
    return text
  }

  private func run(_ line: ShellLine, at place: String) async throws {
    let text = substituted(line.text)
    let words = ShellLine.parse(text).commands[0]
    let listens = Standing.value(of: "--listen", in: words)
    let stays = words[0] == "wanspec" && ["serve", "worker", "link"].contains(words[1]) || listens != nil
    if let listens { try await release(listens) }
    let child = try await ChildProcess.start(
      text, program: "/bin/sh",
      arguments: ["-c", "cd \"$0\" && " + (stays ? "exec " : "") + text, folder.path],
      environment: environment, keptOutput: 1 << 18)
    if stays {
      let command = Standing(what: "\(place): \(text)", words: words, child: child)
      standing.append(command)
      if command.isReadyAlone { try await awaitSign(of: command) }
    } else {
      child.closeInput()
      let exit = await Self.exit(of: child, within: .seconds(180))
      if exit != .status(0) {
        faults.append(
          "\(place): \(text)\n  ended with \(exit): \(child.errors.suffix(600)) \(child.output.suffix(600))")
      }
    }
  }

  /// Makes room for who listens there next, as a user would: what ends by itself is waited for, a server is stopped.
  private func release(_ address: String) async throws {
    for each in standing where each.value(of: "--listen") == address {
      let port = address.split(separator: ":").last
      // It takes a while to start, and was meant for this one.
      for worker in standing where worker.value(of: "--connect")?.split(separator: ":").last == port {
        try await awaitSign(of: worker, while: each)
      }
      try await end(each)
    }
    standing.removeAll { !$0.child.isRunning }
  }

  private func end(_ command: Standing) async throws {
    if command.isFinite {
      let exit = await Self.exit(of: command.child, within: .seconds(120))
      if exit != .status(0) {
        faults.append("\(command.what)\n  ended with \(exit): \(command.child.errors.suffix(600))")
      }
      return
    }
    try await awaitSign(of: command)
    if !command.child.isRunning || !command.isReady {
      faults.append(
        "\(command.what)\n  \(command.child.isRunning ? "never said \"\(command.sign ?? "")\"" : "did not stay"): "
          + "\(command.child.errors.suffix(600)) \(command.child.output.suffix(600))")
    }
    command.child.signal(SIGTERM)
    let exit = await Self.exit(of: command.child, within: .seconds(30))
    if exit != .status(0) { faults.append("\(command.what)\n  SIGTERM ended it with \(exit)") }
  }

  private func awaitSign(of command: Standing, while other: Standing? = nil) async throws {
    let deadline = ContinuousClock.now + .seconds(60)
    while command.child.isRunning, other?.child.isRunning ?? true, !command.isReady, .now < deadline {
      try await Task.sleep(for: .milliseconds(50))
    }
  }

  private static func exit(of child: ChildProcess, within limit: Duration) async -> ChildProcess.Exit {
    let guardian = Task {
      try await Task.sleep(for: limit)
      await child.stop(patience: .seconds(1))
    }
    defer { guardian.cancel() }
    return await child.exit()
  }
}
