import BrowserTesting
import Foundation
import ProcessControl
import Testing

/// `wanspec study` and `wanspec plan` as real processes: an emulator, runs that are killed and go on, files that are merged,
/// a report in a browser.
@Suite(.serialized) struct StudyTests {
  /// A folder that goes away.
  final class Folder {
    let path: String

    init() throws {
      path = FileManager.default.temporaryDirectory.appending(path: "study-\(UUID().uuidString)").path
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    func file(_ name: String) -> String { path + "/" + name }

    func write(_ text: String, to name: String) throws -> String {
      try text.write(toFile: file(name), atomically: true, encoding: .utf8)
      return file(name)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
  }

  /// A day in ten seconds; one region throttles at times, another refuses.
  private static let regions = """
    name: short
    acceleration: 8640
    sources: [eu-west-2, us-east-1]
    regions:
    - {region: eu-west-2, load: 20%, prefill: 10ms, per-token: 1ms}
    - {region: us-east-1, load: 20%, prefill: 10ms, per-token: 1ms, faults: [{kind: throttle, share: 5%}]}
    - {region: ap-south-1, load: 0, faults: [{kind: forbidden, share: 100%}]}
    """

  private func emulator(_ folder: Folder, days: Double) async throws -> RunningProgram {
    let regions = try folder.write(Self.regions, to: "regions.yaml")
    let program = try await RunningProgram([
      "study", "emulate", regions, "--listen", "127.0.0.1:0", "--campaign", folder.file("campaign.yaml"),
      "--days", "\(days)",
      "--every", "10min", "--log", folder.file("log.jsonl"), "--json",
    ])
    _ = try await program.event("ready")
    return program
  }

  /// Emulate, probe from two sources, be killed and go on, merge, report, export: the whole way.
  @Test func theWholeChainRuns() async throws {
    let folder = try Folder()
    let emulator = try await emulator(folder, days: 0.5)
    let campaign = folder.file("campaign.yaml")
    let first = try await RunningProgram([
      "study", "run", campaign, "--source", "eu-west-2", "--store", folder.file("a.sqlite"), "--json",
    ])
    let other = try await RunningProgram([
      "study", "run", campaign, "--source", "us-east-1", "--store", folder.file("b.sqlite"), "--json",
    ])
    _ = try await first.event("probe")
    // Another process may not send the same probes.
    let second = try await Program.run(["study", "resume", folder.file("a.sqlite")])
    #expect(second.status == 1 && second.errors.contains("another process runs on it"), "\(second.errors)")
    first.signal(SIGKILL)
    _ = await first.result()
    let resumed = try await Program.run(["study", "resume", folder.file("a.sqlite"), "--json"])
    #expect(resumed.status == 0, "\(resumed.errors)")
    #expect(resumed.output.contains("\"reason\":\"complete\""))
    // The one that refuses is stopped, and said so once.
    #expect(resumed.output.split(separator: "\n").count { $0.contains("\"event\":\"stopped\"") } == 1)
    #expect(await other.result().status == 0)
    emulator.signal(SIGTERM)
    #expect(await emulator.result().status == 0)

    let merge = [
      "study", "merge", folder.file("a.sqlite"), folder.file("b.sqlite"), "--output",
      folder.file("all.sqlite"), "--json",
    ]
    let merged = try await Program.run(merge)
    #expect(merged.status == 0, "\(merged.errors)")
    let again = try await Program.run(merge)
    #expect(again.output.split(separator: "\n").allSatisfy { $0.contains("\"added\":0") }, "\(again.output)")

    let exported = try await Program.run(["study", "export", folder.file("all.sqlite"), "--format", "jsonl"])
    let probes = try exported.output.split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
    // 72 slots, 3 targets, 2 sources: one row for each.
    #expect(probes.count == 432)
    let keys = Set(probes.map { "\($0["source"] ?? "") \($0["target"] ?? "") \($0["slot"] ?? "")" })
    #expect(keys.count == 432)
    let phases = [
      "dns", "connect", "tls", "written", "headers", "first_event", "first_content", "last_content", "end",
    ]
    for probe in probes {
      guard let total = probe["total_ns"] as? Int else { continue }
      #expect(phases.reduce(0) { $0 + (probe["\($1)_ns"] as? Int ?? 0) } == total)
    }
    #expect(
      probes.contains { $0["outcome"] as? String == "missed" && $0["detail"] as? String == "nobody ran" })
    #expect(probes.count { $0["outcome"] as? String == "credentials" } < 20)

    let page = folder.file("report.html")
    let report = try await Program.run(["study", "report", folder.file("all.sqlite"), "--output", page])
    #expect(report.status == 0, "\(report.errors)")
    #expect(report.output.contains("made by an emulator (short)"))
    // It delays no packets, which makes no headline, and no plan.
    #expect(report.output.contains("cannot be those between the regions"), "\(report.output)")
    #expect(!report.output.contains("The network is "))
    let plan = try folder.write(
      """
      name: two
      sites: [{region: us-east-1, controller: true}, {region: eu-west-2, worker: true}]
      text: {match-rate: 0.8, after-miss: 0.6, texts: 2, length: 40}
      target: {pass: 30ms}
      draft: {pass: 5ms}
      """, to: "plan.yaml")
    let planned = try await Program.run([
      "plan", plan, "--study", folder.file("all.sqlite"), "--output", folder.file("plan.html"),
    ])
    #expect(planned.status == 0, "\(planned.errors)")
    #expect(planned.output.contains("round trips of 2 pairs of sites are not used"), "\(planned.output)")
    #expect(!planned.output.contains("RTT 0.0 ms"))
    #expect(
      try String(contentsOfFile: folder.file("plan.html"), encoding: .utf8).contains("light in fibre needs"))
    let document = try await Browser.find().open(try String(contentsOfFile: page, encoding: .utf8))
    #expect(document.faults.isEmpty, "\(document.faults)")
    let rows = try await Program.run(["study", "report", folder.file("all.sqlite"), "--json"])
    #expect(rows.output.contains("\"kind\":\"pair\""))
  }

  /// The short form of Benchmarks/chaos-study.
  @Test func killedAtRandomItLosesNothing() async throws {
    let seed = UInt16.random(in: 0...9999)
    let result = try await ServeTests.script(
      "Benchmarks/chaos-study", ["--wanspec", Program.url.path, "--kills", "8", "--seed", "\(seed)"])
    #expect(result.status == 0, "seed \(seed): \(result.output) \(result.errors)")
  }

  /// The one file, copied after Ctrl-C, has it all; so it has after SIGKILL once a command has opened it. Nothing else is
  /// left beside it.
  @Test func theFileIsWholeHoweverARunEnds() async throws {
    let folder = try Folder()
    let emulator = try await emulator(folder, days: 7)
    for (name, signal) in [("int", SIGINT), ("term", SIGTERM), ("kill", SIGKILL)] {
      let store = folder.file("\(name).sqlite")
      let run = try await RunningProgram([
        "study", "run", folder.file("campaign.yaml"), "--source", "eu-west-2", "--store", store, "--json",
      ])
      _ = try await run.event("probe")
      run.signal(signal)
      let result = await run.result()
      #expect(result.status == (signal == SIGKILL ? 137 : 130), "\(result.errors)")
      let said = run.events.count { $0["event"] as? String == "probe" }
      if signal == SIGKILL {
        let report = try await Program.run(["study", "report", store])
        #expect(report.status == 0, "\(report.errors)")
      }
      let beside = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        .filter { $0.hasPrefix("\(name).") && !(signal == SIGKILL && $0.hasSuffix(".lock")) }
      #expect(beside == ["\(name).sqlite"])
      try FileManager.default.copyItem(atPath: store, toPath: folder.file("copy-\(name).sqlite"))
      let rows = try await Program.run(["study", "export", folder.file("copy-\(name).sqlite")])
      #expect(rows.output.split(separator: "\n").count > said, "\(rows.errors)")
    }
    emulator.signal(SIGTERM)
    _ = await emulator.result()
  }

  /// Whoever interrupts a run is told at once what it waits for.
  @Test func anInterruptionIsAnswered() async throws {
    let folder = try Folder()
    let silent = try UnheardPort(accepts: true)
    let campaign = try folder.write(
      """
      name: slow
      every: 1s
      days: 0.01
      sources: [eu-west-2]
      targets: [{region: us-east-1, api: openai-chat, url: 'http://127.0.0.1:\(silent.port)/v1', model: m}]
      """, to: "c.yaml")
    let run = try await RunningProgram([
      "study", "run", campaign, "--store", folder.file("s.sqlite"), "--json",
    ])
    _ = try await run.event("begin")
    // A slot lasts a second, and the first begins within one.
    try await Task.sleep(for: .seconds(3))
    run.signal(SIGINT)
    let draining = try await run.event("draining", within: 4)
    #expect((draining["probes"] as? Int ?? 0) >= 1 && draining["seconds"] as? Double == 5)
    #expect(run.isRunning)
    #expect(await run.result().status == 130)
    withExtendedLifetime(silent) {}
  }

  @Test func limitsStopBeforeTheyArePassed() async throws {
    let folder = try Folder()
    let emulator = try await emulator(folder, days: 0.5)
    let run = try await Program.run([
      "study", "run", folder.file("campaign.yaml"), "--source", "eu-west-2", "--store",
      folder.file("a.sqlite"),
      "--max-requests", "5", "--json",
    ])
    #expect(run.status == 3, "\(run.errors)")
    #expect(run.output.contains("\"limit\":\"5 requests\""))
    #expect(run.output.split(separator: "\n").count { $0.contains("\"event\":\"probe\"") } == 5)
    let poor = try await Program.run([
      "study", "run", folder.file("campaign.yaml"), "--source", "eu-west-2", "--store",
      folder.file("b.sqlite"),
      "--max-usd", "0.00001",
    ])
    #expect(poor.status == 3 && poor.output.contains("the limit of 1e-05 USD is reached"), "\(poor.output)")
    emulator.signal(SIGTERM)
    _ = await emulator.result()
    let gone = try await Program.run(["study", "resume", folder.file("a.sqlite")])
    #expect(gone.status == 1 && gone.errors.contains("the emulator's clock cannot be read"), "\(gone.errors)")
  }

  @Test func wrongInputIsRefused() async throws {
    let folder = try Folder()
    let good = """
      name: x
      sources: [eu-west-2, us-east-1]
      targets: [{region: us-east-1, api: openai-chat, url: 'http://127.0.0.1:9/v1', model: m, price: {output: 10}}]
      """
    let campaign = try folder.write(good, to: "c.yaml")
    let keyed = try folder.write(
      good.replacing("model: m", with: "model: m, key-variable: NO_SUCH_KEY"), to: "k.yaml")
    let bad = try folder.write(good + "\nevrey: 5min", to: "bad.yaml")
    let text = try folder.write("hello", to: "text")
    let cases: [(arguments: [String], status: Int32, message: String)] = [
      (["study", "run", folder.file("none.yaml")], 1, "cannot be read"),
      (["study", "run", bad], 1, "bad.yaml:4: unknown key \"evrey\""),
      (["study", "run", campaign], 1, "the campaign has 2 sources; which one is this?"),
      (["study", "run", campaign, "--source", "us-esat-1"], 1, "did you mean us-east-1?"),
      (["study", "run", keyed, "--source", "us-east-1"], 1, "NO_SUCH_KEY is not set"),
      (["study", "run", campaign, "--source", "us-east-1", "--max-usd", "-1"], 64, "--max-usd"),
      (["study", "resume", text], 1, "not a study's store"),
      (["study", "report", folder.file("none")], 1, "there is no such file"),
      (["study", "merge", text, "--output", text], 64, "is one of the files to merge"),
      (["study", "export", text], 1, "not a study's store"),
      (["study", "emulate", bad], 1, "there must be a region at least"),
      (["plan", bad], 1, "sites"), (["plan", folder.file("none")], 1, "cannot be read"),
      (["plan", bad, "--jobs", "0"], 64, "--jobs"),
    ]
    for each in cases {
      let result = try await Program.run(each.arguments)
      #expect(result.status == each.status, "\(each.arguments): \(result.errors)")
      #expect(result.errors.contains(each.message), "\(each.arguments): \(result.errors)")
    }
    let dry = try await Program.run(["study", "run", campaign, "--source", "us-east-1", "--dry-run"])
    // 2016 slots; 32 tokens at 10 USD for a million.
    #expect(dry.status == 0 && dry.output.contains("2016 requests, at most 0.65 USD"), "\(dry.output)")
    #expect(!FileManager.default.fileExists(atPath: "x-us-east-1.sqlite"))
  }

  @Test func aPlanIsMade() async throws {
    let plan = ServeTests.root.appending(path: "Scenarios/plans/three-continents.yaml").path
    let folder = try Folder()
    let page = folder.file("plan.html")
    let result = try await Program.run(["plan", plan, "--output", page])
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.output.contains("us-east-1: put its worker at "))
    let document = try await Browser.find().open(try String(contentsOfFile: page, encoding: .utf8))
    #expect(document.faults.isEmpty, "\(document.faults)")
    let json = try await Program.run(["plan", plan, "--json"])
    let object = try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
    #expect((object?["pairs"] as? [Any])?.count == 21)
  }

  /// Targets that are real: our own server with a real model.
  @Test(.enabled(if: Models.arePresent, "run `make test` once: it fetches the models"))
  func ourOwnServerIsMeasured() async throws {
    let (server, port, _) = try await ServeTests.start(["--alias", "m"])
    try await measure("http://localhost:\(port)/v1")
    server.signal(SIGTERM)
    #expect(await server.result().status == 0)
  }

  private static let llamaServer = ProcessInfo.processInfo.environment["WANSPEC_LLAMA_SERVER"]

  /// llama.cpp's server, where somebody has built it (`dev/build-llama-programs` prints its folder).
  @Test(
    .enabled(
      if: llamaServer != nil && Models.arePresent, "set WANSPEC_LLAMA_SERVER to the path of llama-server"))
  func llamaServerIsMeasured() async throws {
    let port = try UnheardPort().port
    let server = try await ChildProcess.start(
      "llama-server", program: try #require(Self.llamaServer),
      arguments: [
        "-m", Models.target, "--alias", "m", "--host", "127.0.0.1", "--port", "\(port)", "-c", "512", "-t",
        "1", "--no-webui",
      ], environment: ProcessInfo.processInfo.environment, keptOutput: 1 << 20)
    let deadline = ContinuousClock.now + .seconds(60)
    while !(server.errors + server.output).contains("listening on http"), ContinuousClock.now < deadline {
      try await Task.sleep(for: .milliseconds(50))
    }
    // It closes the connection after each stream.
    try await measure("http://127.0.0.1:\(port)/v1", second: "missed")
    server.signal(SIGTERM)
    _ = await server.exit()
  }

  /// Probes both of OpenAI's APIs there, and wants every answer whole.
  private func measure(_ base: String, second: String = "ok") async throws {
    let folder = try Folder()
    let campaign = try folder.write(
      """
      name: real
      days: \(4.0 / 86_400)
      every: 1s
      warm: true
      prompt: {text: "One, two, three, four,", max-tokens: 8, nonce: false}
      sources: [eu-west-2]
      targets:
      - {name: chat, region: us-east-1, api: openai-chat, url: '\(base)', model: m}
      - {name: completions, region: us-east-1, api: openai-completions, url: '\(base)', model: m}
      """, to: "c.yaml")
    let run = try await Program.run(["study", "run", campaign, "--store", folder.file("s.sqlite"), "--json"])
    #expect(run.status == 0, "\(run.errors)")
    let events = run.output.split(separator: "\n").compactMap {
      try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
    }
    let probes = events.filter { $0["event"] as? String == "probe" }
    #expect(probes.count >= 8 && probes.contains { $0["ordinal"] as? Int == 1 })
    for probe in probes {
      let expected = probe["ordinal"] as? Int == 1 ? second : "ok"
      #expect(probe["outcome"] as? String == expected, "\(probe)")
      guard expected == "ok" else { continue }
      #expect((probe["output_tokens"] as? Int ?? 0) > 0 && (probe["ttft_ms"] as? Double ?? 0) > 0, "\(probe)")
    }
  }
}
