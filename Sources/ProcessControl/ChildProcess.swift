import Foundation
import Subprocess
import Synchronization

#if canImport(System)
  import System
#else
  import SystemPackage
#endif

/// A process that this one started, watched until it is gone.
///
/// Its standard input is a pipe that only this process holds open: a program that watches for its end notices
/// when this process dies, even by SIGKILL. Its standard output can be read line by line while it runs.
///
/// Built on swift-subprocess rather than Foundation's `Process`, whose termination handlers and readability
/// handlers on Linux can be lost or crash when a program ends while its output is still being read.
public final class ChildProcess: Sendable {
  public enum Exit: Equatable, Sendable {
    case status(Int32)
    case signal(Int32)
  }

  public struct StartFailure: Error, CustomStringConvertible {
    public var description: String
  }

  /// What to call it in messages.
  public let name: String
  public let pid: Int32
  /// The lines of its standard output; may be iterated once. Of lines nobody reads, the newest 1000 are kept.
  public let lines: AsyncStream<String>

  private struct State {
    var exit: Exit?
    var output = KeptBytes()
    var errors = KeptBytes()
  }

  private let state: StateBox
  private let input: AsyncStream<[UInt8]>.Continuation
  private let run: Task<Void, Never>

  /// Where the running task and the handle meet.
  private final class StateBox: Sendable {
    let state = Mutex(State())
  }

  /// Starts a program.
  ///
  /// - Parameters:
  ///   - program: the path of its executable
  ///   - environment: all its variables; nil: this process's
  ///   - keptOutput: how many bytes of the end of its standard output, and of its standard error, to keep
  /// - Throws: `StartFailure` if it cannot be started.
  public static func start(
    _ name: String, program: String, arguments: [String], environment: [String: String]? = nil,
    keptOutput: Int = 8192
  ) async throws -> ChildProcess {
    _ = ignoreBrokenPipes
    let box = StateBox()
    box.state.withLock { state in
      state.output.limit = keptOutput
      state.errors.limit = keptOutput
    }
    let (lines, lineOutput) = AsyncStream<String>.makeStream(bufferingPolicy: .bufferingNewest(1000))
    let (input, inputSource) = AsyncStream<[UInt8]>.makeStream()
    let (started, startedOutput) = AsyncStream<Result<Int32, StartFailure>>.makeStream()
    let surroundings = Environment(environment)

    let run = Task {
      do {
        let result = try await Subprocess.run(
          .path(FilePath(program)), arguments: Arguments(arguments), environment: surroundings,
          input: .inputWriter, output: .sequence, error: .sequence
        ) { execution in
          startedOutput.yield(.success(execution.processIdentifier.value))
          await withTaskGroup { group in
            group.addTask { await keep(execution.standardOutput, in: box, lines: lineOutput) }
            group.addTask {
              await read(execution.standardError) { bytes in box.state.withLock { $0.errors.append(bytes) } }
            }
            let writing = Task { await write(input, to: execution.standardInputWriter) }
            await group.waitForAll()
            writing.cancel()
            await writing.value
          }
        }
        box.state.withLock { state in
          switch result.terminationStatus {
          case .exited(let status): state.exit = .status(status)
          case .signaled(let signal): state.exit = .signal(signal)
          }
        }
      } catch {
        box.state.withLock { $0.exit = $0.exit ?? .signal(0) }
        startedOutput.yield(.failure(StartFailure(description: "cannot start \(name): \(error)")))
        lineOutput.finish()
      }
      startedOutput.finish()
    }
    for await outcome in started {
      let pid = try outcome.get()
      return ChildProcess(name: name, pid: pid, lines: lines, state: box, input: inputSource, run: run)
    }
    // Only a cancelled task gets here: the stream above always yields. Nobody will have the handle, so the
    // program is ended, and waited for, here.
    run.cancel()
    await run.value
    throw CancellationError()
  }

  private static func write(
    _ input: AsyncStream<[UInt8]>, to writer: StandardInputWriter
  ) async {
    for await bytes in input {
      // A program that does not read its input ends when it likes.
      do { _ = try await writer.write(bytes) } catch { break }
    }
    try? await writer.finish()
  }

  /// Keeps the end of what a program says, and tells it line by line.
  private static func keep(
    _ output: SubprocessOutputSequence, in box: StateBox, lines: AsyncStream<String>.Continuation
  ) async {
    var splitter = LineSplitter()
    await read(output) { bytes in
      box.state.withLock { $0.output.append(bytes) }
      for line in splitter.append(bytes) { lines.yield(line) }
    }
    if let last = splitter.finish() { lines.yield(last) }
    lines.finish()
  }

  private init(
    name: String, pid: Int32, lines: AsyncStream<String>, state: StateBox,
    input: AsyncStream<[UInt8]>.Continuation, run: Task<Void, Never>
  ) {
    self.name = name
    self.pid = pid
    self.lines = lines
    self.state = state
    self.input = input
    self.run = run
  }

  public var isRunning: Bool { state.state.withLock { $0.exit == nil } }
  /// The end of its standard output so far.
  public var output: String { state.state.withLock { $0.output.text } }
  /// The end of its standard error so far.
  public var errors: String { state.state.withLock { $0.errors.text } }

  public func write(_ bytes: some Sequence<UInt8>) { input.yield(Array(bytes)) }
  public func closeInput() { input.finish() }

  /// Sends a signal, unless it is known to have ended. (Between its end and that knowledge lies the time that the
  /// system takes to report it; process ids are not given out again that soon.)
  public func signal(_ number: Int32) {
    state.state.withLock { state in
      if state.exit == nil { kill(pid, number) }
    }
  }

  /// Waits until it is gone and its output has been read to the end.
  ///
  /// Not cut short by cancellation: a process that was started is always waited for.
  public func exit() async -> Exit {
    await run.value
    return state.state.withLock { $0.exit ?? .signal(0) }
  }

  /// Asks it to end, waits up to `patience`, then kills it. Returns when it is gone.
  public func stop(patience: Duration = .seconds(5)) async {
    closeInput()
    signal(SIGTERM)
    let killer = Task {
      try await Task.sleep(for: patience)
      signal(SIGKILL)
    }
    _ = await exit()
    killer.cancel()
  }

  /// Runs a program to its end.
  ///
  /// - Parameters:
  ///   - poll: called about five times a second while it runs
  /// - Throws: `StartFailure`; `CancellationError` after ending the program, when cancelled.
  public static func run(
    _ name: String, program: String, arguments: [String], environment: [String: String]? = nil,
    keptOutput: Int = 8192, poll: @escaping @Sendable () -> Void = {}
  ) async throws -> ChildProcess {
    let child = try await start(
      name, program: program, arguments: arguments, environment: environment, keptOutput: keptOutput)
    child.closeInput()
    let polling = Task {
      while !Task.isCancelled {
        poll()
        try await Task.sleep(for: .milliseconds(200))
      }
    }
    await withTaskCancellationHandler {
      _ = await child.exit()
    } onCancel: {
      Task { await child.stop(patience: .seconds(3)) }
    }
    polling.cancel()
    try Task.checkCancellation()
    return child
  }

  /// The path of a program: the name itself if it has a slash, else where PATH leads.
  public static func find(_ name: String, environment: [String: String]) async -> String? {
    if name.contains("/") { return FileManager.default.isExecutableFile(atPath: name) ? name : nil }
    return try? await Executable.name(name).resolveExecutablePath(in: Environment(environment)).string
  }

  /// Writing to a program that has ended is to be an error, not the end of this process (SwiftNIO does the same).
  private static let ignoreBrokenPipes: Void = { _ = Foundation.signal(SIGPIPE, SIG_IGN) }()

  private static func read(_ sequence: SubprocessOutputSequence, into take: ([UInt8]) -> Void) async {
    do {
      for try await buffer in sequence { take(buffer.withUnsafeBytes { Array($0) }) }
    } catch {
      // The pipe is gone: what was read stands.
    }
  }
}

extension Environment {
  /// These variables and no others; nil: this process's.
  init(_ variables: [String: String]?) {
    guard let variables else {
      self = .inherit
      return
    }
    var keyed: [Key: String] = [:]
    for (name, value) in variables { keyed[Key(stringLiteral: name)] = value }
    self = .custom(keyed)
  }
}
