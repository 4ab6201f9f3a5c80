#if os(Linux)
  import Foundation
  import Testing

  /// The demo with small models: it works, and whatever ends it, the processes that it started are gone.
  @Suite(.serialized, .enabled(if: Models.arePresent, "run `make test` once: it fetches the models"))
  struct DemoTests {
    func start() async throws -> RunningProgram {
      try await RunningProgram([
        "demo", "--target", Models.target, "--draft", Models.draft, "--max-tokens", "8", "--json",
      ])
    }

    /// State and parent of a process; nil when there is none.
    func look(at pid: Int32) -> (state: Substring, parent: Int32)? {
      // "4711 (name) S 4710 ...": the name may hold anything.
      guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
        let name = stat.lastIndex(of: ")")
      else { return nil }
      let fields = stat[name...].split(separator: " ").dropFirst()
      guard let state = fields.first, let parent = fields.dropFirst().first.flatMap({ Int32($0) }) else {
        return nil
      }
      return (state, parent)
    }

    /// A process that has ended may wait for its new parent to take notice.
    func isRunning(_ pid: Int32) -> Bool { look(at: pid).map { $0.state != "Z" } ?? false }

    func children(of parent: Int32) -> Set<Int32> {
      let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
      return Set(all.compactMap { Int32($0) }.filter { look(at: $0)?.parent == parent })
    }

    /// The children that a running program has had, asked until `enough` is true of their number.
    func children(of program: RunningProgram, until enough: (Int) -> Bool) async throws -> Set<Int32> {
      var seen: Set<Int32> = []
      while program.isRunning && !enough(seen.count) {
        seen.formUnion(children(of: program.child.pid))
        try await Task.sleep(for: .milliseconds(50))
      }
      return seen
    }

    func expectGone(_ pids: Set<Int32>) {
      for pid in pids { #expect(!isRunning(pid), "process \(pid) is still there") }
    }

    @Test func itShowsEveryModeAndLeavesNothingRunning() async throws {
      let program = try await start()
      let seen = try await children(of: program) { _ in false }
      let result = await program.result()
      #expect(result.status == 0, "\(result.errors)")
      let summaries = program.events.filter { $0["event"] as? String == "summary" }
      #expect(
        summaries.compactMap { $0["configuration"] as? String } == [
          "plain", "local sequential", "local parallel", "wan 0 ms", "wan 30 ms", "wan 100 ms",
        ])
      for summary in summaries {
        #expect(summary["different"] as? Int == 0, "\(summary)")
        #expect(summary["cache"] as? String == "cold" && summary["autopilot"] as? Bool == true, "\(summary)")
      }
      #expect(seen.count >= 2, "a worker and a link at least")
      expectGone(seen)
    }

    @Test(arguments: [SIGINT, SIGTERM])
    func interruptedItTakesItsProcessesAlong(signal: Int32) async throws {
      let program = try await start()
      let seen = try await children(of: program) { $0 >= 2 }
      #expect(seen.count >= 2)
      program.signal(signal)
      #expect(await program.result().status == 130)
      expectGone(seen)
    }

    /// Nobody can clean up after SIGKILL; the children notice that their input ends.
    @Test func killedItsProcessesEndByThemselves() async throws {
      let program = try await start()
      let seen = try await children(of: program) { $0 >= 2 }
      #expect(seen.count >= 2)
      program.signal(SIGKILL)
      _ = await program.result()
      let deadline = ContinuousClock.now + .seconds(30)
      while seen.contains(where: isRunning), .now < deadline {
        try await Task.sleep(for: .milliseconds(20))
      }
      expectGone(seen)
    }
  }
#endif
