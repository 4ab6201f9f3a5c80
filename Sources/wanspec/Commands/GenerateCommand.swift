import ArgumentParser
import Benchmarking
import CommandSettings
import Console
import DraftExchange
import Foundation
import ModelBackend
import NodeRuntime
import Serving
import SpeculationCore
import Synchronization

struct GenerateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate",
    abstract: "Generate text for one prompt, beside the target model.",
    discussion: """
      The text goes to standard output as it is decided, the figures to standard error at the end. On a \
      terminal, colours show who guessed each token first: a worker (green), the local draft model \
      (yellow), nobody, so the target chose it alone (bold).

      Modes:
        plain             the target alone
        local-sequential  draft locally, then verify (what llama.cpp and vLLM do)
        local-parallel    draft locally while the target verifies
        wan               workers draft; they dial --listen, see `wanspec worker --help`

      In every mode the text is the same: the target decides each token. Without a worker, wan mode writes \
      on as plain would.

      The autopilot chooses widths, guesses from the text and pauses from what it measures. What a flag sets \
      by hand holds, and the rest stays with the autopilot.

      Examples:
        wanspec generate --mode plain "Write a haiku about the sea."
        wanspec generate --listen 127.0.0.1:7070 "Write a haiku about the sea."
        wanspec generate --temperature 0.8 --top-p 0.95 --seed 7 --prompt-file story.txt
      """)

  @Argument(help: ArgumentHelp("The prompt; - reads standard input.", valueName: "prompt"))
  var prompt: String?

  @Option(Settings.promptFile) var promptFile: String?

  @Option(Settings.mode) var mode: GenerationMode?

  @Option(Settings.target) var target: String?

  @Option(Settings.localDraft) var draft: String?

  @Option(Settings.maxTokens) var maxTokens: Int?

  @Option(Settings.system) var system: String?

  @Flag(Settings.raw) var raw = false

  @OptionGroup(title: "Sampling") var sampling: SamplingOptions
  @OptionGroup(title: "Speculation") var speculation: SpeculationOptions

  @Option(Settings.listen) var listen: HostPort?

  @Option(Settings.waitWorker) var waitWorker: DurationArgument?

  @Option(Settings.workerTimeout) var workerTimeout: DurationArgument?

  @OptionGroup(title: "Security") var security: ListenerSecurityOptions

  @OptionGroup(title: "Engine") var cores: CoreOptions

  @OptionGroup(title: "Engine") var engine: EngineOptions

  @Option(Settings.color) var color: ColorChoice?

  @Flag(Settings.json) var json = false

  @Flag(Settings.quiet, isShort: true) var quiet = false

  mutating func validate() throws {
    mode = try Settings.mode.resolve(mode)
    target = try Settings.target.resolve(target)
    draft = try Settings.localDraft.resolve(draft)
    maxTokens = try Settings.maxTokens.resolve(maxTokens)
    system = try Settings.system.resolve(system)
    raw = try Settings.raw.resolve(raw)
    listen = try Settings.listen.resolve(listen)
    waitWorker = try Settings.waitWorker.resolve(waitWorker)
    workerTimeout = try Settings.workerTimeout.resolve(workerTimeout)
    color = try Settings.color.resolve(color)
    json = try Settings.json.resolve(json)
    quiet = try Settings.quiet.resolve(quiet)
    // A prompt on the command line sets the variable aside.
    if prompt == nil { promptFile = try Settings.promptFile.resolve(promptFile) }
    if prompt != nil && promptFile != nil {
      throw ValidationError("Give the prompt or --prompt-file, not both.")
    }
    if prompt == nil && promptFile == nil {
      throw ValidationError("Give a prompt, - for standard input, or --prompt-file.")
    }
    if mode == .wan, let problem = listen.flatMap({ security.problem(listeningOn: $0) }) {
      throw ValidationError(problem)
    }
  }

  func run() async throws {
    let text = try promptText()
    let resolver = ModelResolver()
    let needsLocal = mode!.needsLocalDraft || (mode == .wan && speculation.byHand.policy != .never)
    let target = engine.target(try resolver.path(for: target!), cores: cores.cpus?.cores ?? [])
    var settings = ControllerHost.Settings(target: target.load, listen: mode == .wan ? listen : nil)
    if needsLocal {
      let draft = engine.draft(
        try resolver.path(for: draft!), cores: cores.draftCPUs?.cores ?? cores.cpus?.cores ?? [])
      settings.local = draft.load
    }
    settings.allowInsecure = security.insecure
    if mode == .wan { settings.security = try security.listener(log: .standardError) }
    settings.livenessTimeout = workerTimeout?.duration
    let note = self.note
    if mode == .wan || mode == .localParallel, let choices = speculation.byHand.note { note(choices) }
    try await ControllerHost.run(
      settings,
      report: { event in
        if case .refused(let peer, let reason) = event { note("refused a worker from \(peer): \(reason)") }
      }
    ) { host in
      let tokens = try host.target.promptTokens(text, system: system, raw: raw)
      if mode == .wan { try await waitForWorker(host) }
      let trafficBefore = host.listener?.totalTraffic
      TerminationSignals.install()
      let stream = await host.node.generate(
        GenerationRequest(
          prompt: tokens, sampling: sampling.settings, maxTokens: maxTokens!,
          speculation: speculation.byHand.settings(for: mode!, hasLocal: host.local != nil)))
      let interrupted = Mutex(false)
      let watcher = Task {
        await TerminationSignals.first()
        if Task.isCancelled { return }
        interrupted.withLock { $0 = true }
        await host.node.cancelAll()
        // Ends the pass that is under way, which may be a long prompt's.
        host.target.shutDown()
        host.local?.shutDown()
      }
      defer { watcher.cancel() }
      let summary = try await show(stream, tokenizer: host.target.tokenizer)
      var bytes: Int?
      if let before = trafficBefore, let after = host.listener?.totalTraffic {
        bytes = after.received - before.received + after.sent - before.sent
      }
      finish(GenerationFigures(summary: summary, networkBytes: bytes, roundTrip: await host.node.roundTrip))
      if interrupted.withLock({ $0 }) { throw Interrupted.exitCode }
    }
  }

  private func promptText() throws -> String {
    let data: Data
    let source: String
    if let promptFile {
      guard let read = FileManager.default.contents(atPath: promptFile) else {
        throw CommandFailure("cannot read the prompt file \(promptFile)", hint: "check the path")
      }
      (data, source) = (read, promptFile)
    } else if prompt == "-" {
      (data, source) = (FileHandle.standardInput.readDataToEndOfFile(), "standard input")
    } else {
      (data, source) = (Data(prompt!.utf8), "the prompt")
    }
    guard let text = String(validating: data, as: UTF8.self) else {
      throw CommandFailure("\(source) is not valid UTF-8", hint: "convert it, such as with iconv -t UTF-8")
    }
    guard !text.allSatisfy(\.isWhitespace) else {
      throw CommandFailure("\(source) is empty", hint: "give some text to answer or to continue")
    }
    return text
  }

  private func waitForWorker(_ host: ControllerHost) async throws {
    let port = try await host.listener!.boundPort
    let address = HostPort(host: listen!.host, port: port)
    if json {
      JSONLine.print(["event": "listening", "address": "\(address)", "port": port])
    } else {
      note("listening for workers on \(address)")
    }
    guard await host.node.waitForWorker(timeout: waitWorker!.duration) else {
      note(
        "no worker within \(waitWorker!): the target runs alone until one attaches"
          + " (wanspec worker --connect \(address))")
      return
    }
  }

  @Sendable private func note(_ text: String) {
    guard !quiet else { return }
    if json {
      JSONLine.print(["event": "note", "text": text])
    } else {
      StandardError.write("wanspec: \(text)\n")
    }
  }

  /// Prints the text as it comes.
  private func show(
    _ stream: AsyncThrowingStream<GenerationEvent, any Error>, tokenizer: any Tokenizer
  ) async throws -> SessionSummary {
    var text = TextStream(tokenizer)
    let colors = OriginColors(isOn: color!.isOn && !json)
    for try await event in stream {
      switch event {
      case .tokens(let tokens, _, _):
        var line = StyledText()
        for token in tokens {
          let piece = text.append(token.token)
          if json {
            var object: [String: any Sendable] = [
              "event": "token", "token": Int(token.token), "text": piece, "origin": token.origin.name,
              "position": token.position,
            ]
            // Infinite when the sampling filters left no second candidate.
            if token.margin.isFinite { object["margin"] = Double(token.margin) }
            JSONLine.print(object)
          } else {
            line.append(colors.paint(piece, token.origin))
          }
        }
        StandardOutput.write(line)
      case .note(let text): note(text)
      case .finished(let summary):
        let rest = text.finish()
        if !json {
          StandardOutput.write(rest + "\n")
        } else if !rest.isEmpty {
          JSONLine.print(["event": "text", "text": rest])
        }
        return summary
      }
    }
    throw CancellationError()
  }

  private func finish(_ figures: GenerationFigures) {
    if json {
      var object = figures.object.merging(["event": "summary", "mode": mode!.rawValue]) { a, _ in a }
      object.merge(speculation.byHand.fields) { own, _ in own }
      JSONLine.print(object)
    } else if !quiet {
      StandardError.write(OriginColors(isOn: color!.isOn).legend())
      StandardError.write(figures.lines.map { "\($0)\n" }.joined())
    }
  }
}

/// `auto`, `always` or `never`.
enum ColorChoice: String, CaseIterable, Sendable {
  case auto, always, never

  var isOn: Bool {
    switch self {
    case .auto: Terminal.wantsColor(on: .standardOutput)
    case .always: true
    case .never: false
    }
  }
}
