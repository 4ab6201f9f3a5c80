import Dispatch
import Logging
import Synchronization

/// A value that is read from files, and read again when one of them changes.
///
/// The files are looked at every interval (times, size and inode, which costs microseconds), on a queue of its
/// own. Files that cannot be read or make no sense are logged once, and the last good value stays: a slip in an
/// editor locks nobody out. The looking ends with this object.
public final class ReloadingFiles<Value: Sendable>: Sendable {
  private struct State {
    var value: Value
    /// Of the files as they were last tried, whether that went well or not.
    var stamps: [CredentialFile.Stamp?]
  }

  public let paths: [String]
  private let what: String
  private let load: @Sendable () throws -> Value
  private let log: Logger
  private let state: Mutex<State>
  /// Two checks at the same time would load twice.
  private let checking = Mutex<Void>(())
  private let timer: Timer

  /// - Parameters:
  ///   - what: for the log: "the API keys"
  ///   - load: reads the files and checks them; called on any thread, never twice at a time
  /// - Throws: what `load` throws: it has to go well once
  public init(
    _ what: String, paths: [String], interval: Duration = .seconds(1), log: Logger,
    load: @escaping @Sendable () throws -> Value
  ) throws {
    self.what = what
    self.paths = paths
    self.load = load
    self.log = log
    // Before reading: a change in between is found at the next look.
    let stamps = paths.map { CredentialFile.Stamp(path: $0) }
    state = Mutex(State(value: try load(), stamps: stamps))
    timer = Timer()
    timer.start(every: interval) { [weak self] in self?.check() }
  }

  public var value: Value { state.withLock { $0.value } }

  /// Looks at the files now.
  ///
  /// - Returns: whether they had changed and the new value is in use
  @discardableResult public func check() -> Bool {
    checking.withLock { _ in
      let stamps = paths.map { CredentialFile.Stamp(path: $0) }
      if state.withLock({ $0.stamps == stamps }) { return false }
      do {
        let value = try load()
        state.withLock { $0 = State(value: value, stamps: stamps) }
        log.notice("read \(what) again", metadata: ["files": "\(paths.joined(separator: ", "))"])
        return true
      } catch {
        state.withLock { $0.stamps = stamps }
        log.error("cannot use the changed files of \(what), so the old ones stay in use: \(error)")
        return false
      }
    }
  }

  /// A timer that ends when it is let go.
  private final class Timer: @unchecked Sendable {
    // A dispatch source may be used from any thread.
    private let source = DispatchSource.makeTimerSource(
      queue: DispatchQueue(label: "wanspec.credentials", qos: .utility))

    func start(every interval: Duration, _ action: @escaping @Sendable () -> Void) {
      let seconds = Double(interval.components.seconds) + Double(interval.components.attoseconds) * 1e-18
      source.schedule(deadline: .now() + seconds, repeating: seconds, leeway: .milliseconds(50))
      source.setEventHandler(handler: action)
      source.activate()
    }

    deinit { source.cancel() }
  }
}
