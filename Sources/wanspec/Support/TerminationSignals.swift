import Dispatch

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// SIGINT and SIGTERM as values, so that a command can end in order.
///
/// From the first call on, the process no longer dies of these signals by itself; whoever asks for them has
/// to act on them.
enum TerminationSignals {
  /// Signal numbers as they arrive, without end.
  static func stream() -> AsyncStream<Int32> {
    let (stream, continuation) = AsyncStream<Int32>.makeStream()
    let queue = DispatchQueue(label: "wanspec.signals")
    // Unsafe only in name: sources may be cancelled from any thread.
    nonisolated(unsafe) let sources = [SIGINT, SIGTERM].map { number in
      // The default action must be off, or it comes before the source.
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
      source.setEventHandler { continuation.yield(number) }
      source.activate()
      return source
    }
    continuation.onTermination = { _ in for source in sources { source.cancel() } }
    return stream
  }

  /// Returns at the first signal, or when the task is cancelled.
  static func first() async {
    for await _ in stream() { return }
  }
}
