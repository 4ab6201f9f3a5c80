import Foundation
import ProcessControl
import Testing

/// Names that mean another address at each attempt. Needs root, for a hosts file that only the worker sees.
@Suite(.serialized, .enabled(if: Models.arePresent, "run `make test` once: it fetches the models"))
struct NameTests {
  private static let name = "controller.wanspec.test"

  private static func canBind() async -> Bool {
    let probe = try? await ChildProcess.run(
      "unshare", program: "/usr/bin/env",
      arguments: ["unshare", "-m", "mount", "--bind", "/etc/hosts", "/etc/hosts"])
    return await probe?.exit() == .status(0)
  }

  @Test func aWorkerAsksForTheAddressAnewEachTime() async throws {
    guard await Self.canBind() else { return print("skipped: no hosts file of its own here") }
    let hosts = FileManager.default.temporaryDirectory.appending(path: "hosts-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: hosts) }
    // In place: a file that is replaced would not be the one that is mounted.
    func write(_ addresses: [String]) throws {
      let text = addresses.map { "\($0) \(Self.name)\n" }.joined()
      if !FileManager.default.fileExists(atPath: hosts.path) { try Data().write(to: hosts) }
      let file = try FileHandle(forWritingTo: hosts)
      try file.truncate(atOffset: 0)
      try file.write(contentsOf: Data(text.utf8))
      try file.close()
    }
    let (server, _, port) = try await ServeTests.start()
    // Nobody listens there.
    try write(["127.0.0.9"])
    let arguments = ProcessTests.worker(port: port, ["--insecure"])
      .map { $0 == "127.0.0.1:\(port)" ? "\(Self.name):\(port)" : $0 }
    let worker = try await ChildProcess.start(
      "worker", program: "/usr/bin/env",
      arguments: [
        "unshare", "-m", "sh", "-c", "mount --bind '\(hosts.path)' /etc/hosts && exec \"$@\"", "sh",
        Program.url.path,
      ] + arguments, keptOutput: 1 << 20)
    func wait(for event: String, count: Int) async throws {
      let deadline = ContinuousClock.now + .seconds(60)
      while ContinuousClock.now < deadline, worker.isRunning {
        if worker.output.components(separatedBy: "\"event\":\"\(event)\"").count > count { return }
        try await Task.sleep(for: .milliseconds(20))
      }
      Issue.record("no \(event) number \(count): \(worker.output) \(worker.errors)")
    }
    try await wait(for: "disconnected", count: 1)
    // It has moved to an address of which the first that is found is not right.
    try write(["::1", "127.0.0.1"])
    try await wait(for: "connected", count: 1)
    worker.signal(SIGTERM)
    _ = await worker.exit()
    server.signal(SIGTERM)
    #expect(await server.result().status == 0)
  }
}
