import BrowserTesting
import Foundation
import Testing

/// `wanspec simulate` and `wanspec trace` as a user runs them, on the shipped scenarios. No model is loaded.
struct SimulateTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent()
    .deletingLastPathComponent()
  private static func scenario(_ name: String) -> String {
    root.appendingPathComponent("Scenarios/\(name).yaml").path
  }
  private static let recording = root.appendingPathComponent("Scenarios/recordings/qwen2.5-coder.jsonl.gz")
    .path

  private static func withFolder(_ body: (URL) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("wanspec-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try await body(folder)
  }

  private static let short = ["--set", "text.texts=2", "--set", "sweep={link.rtt: [0ms, 100ms]}"]

  @Test func aScenarioIsATable() async throws {
    let result = try await Program.run(["simulate", Self.scenario("round-trip")] + Self.short)
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.output.contains("ms/token") && result.output.contains("local sequential draft-length="))
    #expect(result.output.contains("is at least as fast as local parallel"))
  }

  /// Rows for scripts; the same from one core and from two.
  @Test func rowsAreTheSameFromAnyNumberOfCores() async throws {
    let arguments = ["simulate", Self.scenario("round-trip"), "--json"] + Self.short
    let one = try await Program.run(arguments + ["--jobs", "1"])
    let two = try await Program.run(arguments + ["--jobs", "2"])
    #expect(one.status == 0 && one.output == two.output)
    let rows = try one.output.split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
    #expect(rows.count == 18)
    #expect(rows.allSatisfy { ($0["ms_per_token"] as? Double ?? 0) > 1 && $0["link.rtt"] != nil })
  }

  /// A folder of results goes on where it stopped, and its page draws in a browser.
  @Test func resultsAreKeptContinuedAndDrawn() async throws {
    try await Self.withFolder { folder in
      let arguments = ["simulate", Self.scenario("round-trip"), "--output", folder.path] + Self.short
      #expect(try await Program.run(arguments).status == 0)
      let points = folder.appendingPathComponent("points.jsonl")
      let table = try String(contentsOf: folder.appendingPathComponent("results.csv"), encoding: .utf8)
      let lines = try String(contentsOf: points, encoding: .utf8).split(separator: "\n")
      // As after a kill: the last line is cut, another is missing.
      try (lines.dropFirst().dropLast().joined(separator: "\n") + "\n{\"key\":\"12").write(
        to: points, atomically: true, encoding: .utf8)
      let again = try await Program.run(arguments)
      #expect(again.status == 0, "\(again.errors)")
      #expect(try String(contentsOf: folder.appendingPathComponent("results.csv"), encoding: .utf8) == table)
      let kept = try String(contentsOf: points, encoding: .utf8)
      #expect(kept.contains(lines[3]) && kept.split(separator: "\n").count == lines.count + 1)

      let html = try String(contentsOf: folder.appendingPathComponent("report.html"), encoding: .utf8)
      #expect(html.contains("wanspec simulate") && html.contains("seed 1"))
      let document = try await Browser.find().open(html)
      #expect(document.faults.isEmpty, "\(document.faults)")
      #expect(document.charts == 3)
    }
  }

  /// Every shipped scenario's page, at one point of its sweep, has all its charts.
  @Test(arguments: ["timeline", "entropy", "price", "workers"])
  func shippedPagesDraw(name: String) async throws {
    try await Self.withFolder { folder in
      let result = try await Program.run(
        ["simulate", Self.scenario(name), "--output", folder.path, "--set", "text.texts=2"])
      #expect(result.status == 0, "\(result.errors)")
      let html = try String(contentsOf: folder.appendingPathComponent("report.html"), encoding: .utf8)
      let browser = try await Browser.find()
      let document = try await browser.open(html)
      #expect(document.faults.isEmpty, "\(document.faults)")
      for width in [400, 900, 1600] {
        let layout = try await browser.layout(of: html, width: width)
        #expect(layout.excess == 0 && layout.charts.count == document.charts)
        for chart in layout.charts {
          #expect(chart.excess <= 1 && chart.cut == [] && !chart.caption.isEmpty, "\(width): \(chart)")
        }
        for table in layout.tables where width == 1600 { #expect(table.hidden == 0, "\(table)") }
      }
    }
  }

  /// What a variant has not got is a dash, an empty cell, an absent key; never a figure that means nothing.
  @Test func figuresWithoutMeaningAreNone() async throws {
    let arguments = ["simulate", Self.scenario("round-trip")] + Self.short
    let rows = try await Program.run(arguments + ["--json"]).output.split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
    for row in rows {
      let variant = try #require(row["variant"] as? String)
      let hasWorker = variant.hasPrefix("wan")
      for figure in ["moved", "worker_expansions_per_token", "wasted_share", "bytes_per_token"] {
        #expect((row[figure] != nil) == hasWorker, "\(variant): \(figure)")
      }
      #expect((row["bubble_rate"] != nil) == (variant != "plain"), "\(variant)")
    }
    let text = try await Program.run(arguments).output
    let plain = try #require(text.split(separator: "\n").first { $0.hasPrefix("plain ") })
    #expect(plain.split(separator: " ").count { $0 == "-" } == 3, "\(plain)")
    #expect(text.contains("(moved: draft passes that left the controller"))
  }

  /// A variant has one colour on the whole page, also where a chart shows a few of them.
  @Test func aVariantHasOneColourOnThePage() async throws {
    try await Self.withFolder { folder in
      let result = try await Program.run(
        ["simulate", Self.scenario("round-trip"), "--output", folder.path] + Self.short)
      #expect(result.status == 0)
      let html = try String(contentsOf: folder.appendingPathComponent("report.html"), encoding: .utf8)
      let charts = try await Browser.find().layout(of: html, width: 1600).charts
      let all = try #require(charts.first?.colors)
      #expect(all.count == 9 && Set(all.values).count == 9, "\(all)")
      #expect(charts.count == 3 && charts[2].colors.count == 3)
      for chart in charts { for (name, color) in chart.colors { #expect(all[name] == color, "\(name)") } }
    }
  }

  @Test func aPlansMatrixNamesItsAxes() async throws {
    try await Self.withFolder { folder in
      let page = folder.appendingPathComponent("plan.html")
      let plan = Self.root.appendingPathComponent("Scenarios/plans/three-continents.yaml").path
      let result = try await Program.run(["plan", plan, "--output", page.path])
      #expect(result.status == 0, "\(result.errors)")
      #expect(result.output.contains("a row for each controller's site, a column for each worker's"))
      #expect(result.output.contains("controller \\ worker"))
      let html = try String(contentsOf: page, encoding: .utf8)
      for width in [400, 900, 1600] {
        let layout = try await Browser.find().layout(of: html, width: width)
        #expect(layout.excess == 0)
        for chart in layout.charts {
          #expect(chart.excess <= 1 && chart.cut == [] && !chart.caption.isEmpty, "\(width): \(chart)")
        }
        for table in layout.tables where width == 1600 { #expect(table.hidden == 0, "\(table)") }
      }
    }
  }

  @Test func wrongScenariosAreExplained() async throws {
    try await Self.withFolder { folder in
      let file = folder.appendingPathComponent("bad.yaml")
      try "name: x\ntext: {match-rate: 0.8}\ntarget: {pass: 30ms}\ndraft: {pass: 5ms}\nlink:\n  rrt: 30ms\n"
        .write(to: file, atomically: true, encoding: .utf8)
      let result = try await Program.run(["simulate", file.path])
      #expect(result.status == 1)
      #expect(result.errors.contains("bad.yaml:6: unknown key \"rrt\" in link; did you mean \"rtt\"?"))
      let setting = try await Program.run([
        "simulate", Self.scenario("round-trip"), "--set", "target.pass=fast",
      ])
      #expect(setting.status == 1 && setting.errors.contains("--set target.pass"), "\(setting.errors)")
      let missing = try await Program.run(["simulate", "/nowhere.yaml"])
      #expect(missing.status == 1 && missing.errors.contains("/nowhere.yaml"))
      let shape = try await Program.run(["simulate", Self.scenario("round-trip"), "--set", "link.rtt"])
      #expect(shape.status == 1 && shape.errors.contains("KEY=VALUE"))
    }
  }

  @Test func faultRunsPassAndReplay() async throws {
    let result = try await Program.run([
      "simulate", "--faults", "--seeds", "50", "--first-seed", "7", "--json",
    ])
    #expect(result.status == 0, "\(result.output)")
    let object = try #require(
      try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
    #expect(object["runs"] as? Int == 50 && object["failed"] as? Int == 0)
    let plan = Self.root.appendingPathComponent("Tests/SimulationTests/Regressions/guess-too-deep.json").path
    let replay = try await Program.run(["simulate", "--faults", "--replay", plan])
    #expect(replay.status == 0 && replay.output.contains("passes"))
    let wrong = try await Program.run(["simulate", "--faults", "--replay", Self.scenario("round-trip")])
    #expect(wrong.status == 1 && wrong.errors.contains("is no plan"))
  }

  @Test func recordingsAreDescribedAndJudged() async throws {
    let info = try await Program.run(["trace", "info", Self.recording])
    #expect(info.status == 0 && info.output.contains("humaneval") && info.output.contains("top 16"))
    try await Self.withFolder { folder in
      let page = folder.appendingPathComponent("c.html")
      let result = try await Program.run([
        "trace", "calibrate", Self.recording, "--html", page.path, "--json",
      ])
      #expect(result.status == 0 && result.output.contains("brier_corrected"))
      let document = try await Browser.find().open(try String(contentsOf: page, encoding: .utf8))
      #expect(document.faults.isEmpty, "\(document.faults)")
      let damaged = folder.appendingPathComponent("x.gz")
      try Data("no gzip".utf8).write(to: damaged)
      let wrong = try await Program.run(["trace", "info", damaged.path])
      #expect(wrong.status == 1 && wrong.errors.contains("is not a recording"))
    }
  }
}
