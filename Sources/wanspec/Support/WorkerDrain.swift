import Console
import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// `wanspec worker --drain`: asks a running worker to leave, and waits for it.
enum WorkerDrain {
  /// - Parameter timeout: how long the worker may go on for sessions that nobody takes over
  static func drain(name: String, timeout: Duration, _ output: EventLines) async throws {
    guard let process = RunFile.holder(of: name) else {
      throw CommandFailure(
        "no worker named \"\(name)\" runs on this machine under this user",
        hint: "give the --name that it was started with; the default is the host's name")
    }
    guard kill(process, SIGTERM) == 0 else {
      throw CommandFailure("cannot signal process \(process): \(String(cString: strerror(errno)))")
    }
    output.say("draining", "worker \(name) (process \(process)) drains", ["name": name, "pid": Int(process)])
    // Its own time, and some for the engine to finish its pass.
    let deadline = ContinuousClock.now + timeout + .seconds(10)
    while RunFile.holder(of: name) == process {
      guard ContinuousClock.now < deadline else {
        throw CommandFailure(
          "worker \(name) (process \(process)) is still there after its time to drain",
          hint: "a second signal ends it at once: kill \(process)")
      }
      try await Task.sleep(for: .milliseconds(50))
    }
    output.say("stopped", "worker \(name) has left", ["name": name])
  }
}
