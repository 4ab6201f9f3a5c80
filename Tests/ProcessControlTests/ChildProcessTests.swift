import Foundation
import ProcessControl
import Testing

@Suite struct ChildProcessTests {
  private func shell(_ script: String) async throws -> ChildProcess {
    try await ChildProcess.start("shell", program: "/bin/sh", arguments: ["-c", script])
  }

  /// Programs that end at once, many at a time: no end and no byte is lost.
  @Test func shortLivedProgramsAreAllSeenToEnd() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for lane in 0..<8 {
        group.addTask {
          for index in 0..<40 {
            let child = try await shell("echo out \(lane) \(index); echo err >&2; exit \(index)")
            #expect(await child.exit() == .status(Int32(index)))
            #expect(child.output == "out \(lane) \(index)\n")
            #expect(child.errors == "err\n")
            #expect(!child.isRunning)
          }
        }
      }
      try await group.waitForAll()
    }
  }

  @Test func linesComeWhileItRuns() async throws {
    let child = try await shell("echo first; read line; echo got $line; printf rest")
    var lines: [String] = []
    for await line in child.lines {
      lines.append(line)
      if line == "first" { child.write("word\n".utf8) }
    }
    #expect(lines == ["first", "got word", "rest"])
    #expect(await child.exit() == .status(0))
  }

  @Test func muchOutputIsReadAndOnlyItsEndKept() async throws {
    let child = try await shell("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done")
    #expect(await child.exit() == .status(0))
    #expect(child.output.hasSuffix("line 19998\nline 19999\n"))
    #expect(child.output.utf8.count <= 8192)
  }

  @Test func stoppingEndsItAndSaysHow() async throws {
    let obedient = try await shell("exec sleep 60")
    await obedient.stop()
    #expect(await obedient.exit() == .signal(SIGTERM))
    let stubborn = try await shell("trap '' TERM; echo ready; while :; do sleep 0.05; done")
    // The trap has to be set before the signal comes.
    let said = await stubborn.lines.first { _ in true }
    #expect(said == "ready")
    await stubborn.stop(patience: .milliseconds(100))
    #expect(await stubborn.exit() == .signal(SIGKILL))
    #expect(kill(stubborn.pid, 0) == -1)
  }

  @Test func aMissingProgramIsAnError() async {
    await #expect(throws: ChildProcess.StartFailure.self) {
      _ = try await ChildProcess.start("nothing", program: "/nonexistent/program", arguments: [])
    }
  }

  @Test func cancellingARunEndsTheProgram() async throws {
    let began = ContinuousClock.now
    let run = Task { try await ChildProcess.run("sleep", program: "/bin/sleep", arguments: ["60"]) }
    try await Task.sleep(for: .milliseconds(100))
    run.cancel()
    await #expect(throws: CancellationError.self) { _ = try await run.value }
    #expect(ContinuousClock.now - began < .seconds(20))
  }

  @Test func cancellingAStartLeavesNothingBehind() async throws {
    let file = FileManager.default.temporaryDirectory.appending(path: "wanspec-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: file) }
    for _ in 0..<20 {
      // Each program says its own id: the handle may never be had.
      let start = Task {
        try await ChildProcess.start(
          "sleep", program: "/bin/sh", arguments: ["-c", "echo $$ >> '\(file.path)'; exec sleep 60"])
      }
      start.cancel()
      if let child = try? await start.value { await child.stop() }
    }
    let pids = ((try? String(contentsOf: file, encoding: .utf8)) ?? "").split(separator: "\n").compactMap {
      Int32($0)
    }
    for pid in pids { #expect(kill(pid, 0) == -1, "\(pid) still runs") }
  }

  @Test func programsAreFoundAsAShellDoes() async {
    #expect(await ChildProcess.find("sh", environment: ["PATH": "/nowhere:/bin"]) == "/bin/sh")
    #expect(await ChildProcess.find("/bin/sh", environment: [:]) == "/bin/sh")
    #expect(await ChildProcess.find("/no/such/program", environment: [:]) == nil)
    #expect(await ChildProcess.find("no-such-program", environment: ["PATH": "/bin"]) == nil)
  }
}
