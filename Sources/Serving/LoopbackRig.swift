import Foundation
import NodeRuntime
import ProcessControl
import SpeculationCore

/// A worker and an emulated wide-area link as processes of their own on this machine, for the demo and the
/// benchmark. The controller is this process.
///
/// ```
/// worker process --dials--> link process (imposes the delay) --dials--> this process
/// ```
package actor LoopbackRig {
  package struct Settings: Sendable {
    /// The program `wanspec`.
    package var program: String
    /// What the worker loads: a catalogue name or a file.
    package var draft: String
    /// More arguments for `wanspec worker`.
    package var workerArguments: [String]
    /// Where this process listens.
    package var controllerPort: Int

    package init(program: String, draft: String, workerArguments: [String] = [], controllerPort: Int) {
      self.program = program
      self.draft = draft
      self.workerArguments = workerArguments
      self.controllerPort = controllerPort
    }
  }

  private let settings: Settings
  private let node: ControllerNode
  private var worker: ChildProcess?
  private var link: ChildProcess?
  /// The worker dials this port; every link takes it over from the one before.
  private var linkPort = 0

  package init(settings: Settings, node: ControllerNode) {
    self.settings = settings
    self.node = node
  }

  /// Puts a link with this round-trip time between worker and controller, and waits until a worker is attached
  /// through it.
  package func setRoundTrip(_ roundTrip: Duration) async throws {
    try await removeLink()
    let milliseconds = roundTrip.inMilliseconds
    let link = try await start(
      "wanspec link",
      arguments: [
        "link", "--listen", "127.0.0.1:\(linkPort)", "--connect", "127.0.0.1:\(settings.controllerPort)",
        "--rtt", "\(milliseconds)ms", "--json", "--exit-with-parent",
      ])
    self.link = link
    linkPort = try await Self.firstLine(of: link) { line in
      Self.object(line).flatMap { $0["event"] as? String == "ready" ? $0["port"] as? Int : nil }
    }
    if worker == nil { try await startWorker() }
    guard await node.waitForWorker(timeout: .seconds(30)) else {
      throw ServingError(.noWorker, "no worker attached within 30 s", hint: worker.map(Self.lastErrors))
    }
  }

  /// Takes the link away and waits until the controller has noticed.
  package func removeLink() async throws {
    guard let link else { return }
    self.link = nil
    await link.stop()
    for _ in 0..<500 {
      if await node.attachedWorkers == 0 { return }
      try await Task.sleep(for: .milliseconds(10))
    }
    throw ServingError(.noWorker, "a worker is still attached 5 s after its link was taken away")
  }

  private func startWorker() async throws {
    let arguments = [
      "worker", "--connect", "127.0.0.1:\(linkPort)", "--draft", settings.draft, "--name", "loopback",
      "--json", "--exit-with-parent",
      // Controller and link run on the same cores, as they would not at two sites: they never wait for a draft.
      "--nice", "idle",
    ]
    let worker = try await start("wanspec worker", arguments: arguments + settings.workerArguments)
    self.worker = worker
    let _: Bool = try await Self.firstLine(of: worker) {
      Self.object($0)?["event"] as? String == "ready" ? true : nil
    }
  }

  /// Ends both processes; returns when they are gone.
  package func stop() async {
    let (link, worker) = (self.link, self.worker)
    self.link = nil
    self.worker = nil
    async let linkGone: Void? = link?.stop()
    async let workerGone: Void? = worker?.stop()
    _ = await (linkGone, workerGone)
  }

  /// Starts the program.
  private func start(_ name: String, arguments: [String]) async throws -> ChildProcess {
    do {
      return try await ChildProcess.start(
        name, program: settings.program, arguments: arguments, environment: Self.environment)
    } catch let failure as ChildProcess.StartFailure {
      throw ServingError(.noWorker, "\(failure)")
    }
  }

  /// Without our variables, which mean this command: what the children need of it are flags.
  private static var environment: [String: String] {
    ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("WANSPEC_") || $0.key == "WANSPEC_CACHE" }
  }

  /// Waits for the first line that `pick` makes something of.
  ///
  /// - Throws: `ServingError` with its last error lines when it ends before.
  private static func firstLine<Value: Sendable>(
    of child: ChildProcess, where pick: (String) -> Value?
  ) async throws -> Value {
    for await line in child.lines {
      if let value = pick(line) { return value }
    }
    try Task.checkCancellation()
    throw ServingError(.noWorker, "\(child.name) ended before it was ready:\n  \(lastErrors(child))")
  }

  private static func lastErrors(_ child: ChildProcess) -> String {
    child.errors.split(separator: "\n").suffix(3).joined(separator: "\n  ")
  }

  private static func object(_ line: String) -> [String: Any]? {
    try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
  }
}
