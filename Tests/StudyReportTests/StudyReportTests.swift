import BrowserTesting
import Foundation
import Reporting
import StudyAnalysis
import StudyReport
import Testing

@Suite struct StudyReportTests {
  /// Three regions of which one has a tail and fails at times; hours, days and numbers that anybody can check.
  private func report(emulated: String? = nil) async -> StudyReport {
    let names = ["eu-west-2", "us-east-1", "ap-south-1"]
    let regions = names.compactMap { Region.known[$0] }
    let slots = 980_160..<980_160 + 7 * 48
    var data = StudyData(
      name: "three", fingerprint: "", slotLength: 1800, slots: slots, emulated: emulated, timeout: 30,
      sources: regions,
      targets: regions.map { StudyData.Target(name: $0.name, region: $0) })
    for source in 0..<3 {
      for target in 0..<3 {
        var pair = StudyData.Pair(source: source, target: target)
        for slot in slots {
          var probe = StudyData.Probe()
          // Between 100 and 119 ms, 30 ms more for each step away, and a slow afternoon in the first region.
          let slow = target == 0 && (12..<18).contains(slot / 2 % 24) ? 1.0 + Double(slot % 7) / 20 : 0
          probe.requestTTFT =
            0.1 + 0.03 * Double(abs(source - target)) + Double((slot * 7 + source + target) % 20) / 1000
            + slow
          probe.coldTTFT = probe.requestTTFT + 0.02
          probe.connect = 0.005 + 0.15 * Double(abs(source - target)) + Double(slot % 5) / 10_000
          probe.timePerToken = 0.01
          if target == 2, slot % 50 == 0 { probe.requestTTFT = .infinity }
          pair.append(slot: slot, probe)
        }
        data.pairs.append(pair)
      }
    }
    data.sent = 9 * slots.count
    data.exclusions = [
      .init(source: 0, target: 2, outcome: "timeout", example: "no end after 30 s", count: 4, censored: true)
    ]
    return StudyReport(await StudySummary.make(data), version: "test", command: "wanspec study report x")
  }

  @Test func theTextSaysWhatWasFound() async {
    let text = await report().text
    #expect(
      text.contains("us-east-1 from eu-west-2 has a lower p90 than eu-west-2 itself in 6 of 24"), "\(text)")
    #expect(text.contains("(* the source's own region)"))
    #expect(text.contains("Not as they should be: 4 timeout."))
    #expect(text.split(separator: "\n").allSatisfy { $0.count <= 140 })
  }

  @Test func numbersAgreeWithTheirNouns() async {
    let regions = ["eu-west-2"].compactMap { Region.known[$0] }
    var data = StudyData(
      name: "one", fingerprint: "", slotLength: 60, slots: 29_000_000..<29_000_010, emulated: nil,
      timeout: 30,
      sources: regions, targets: regions.map { StudyData.Target(name: $0.name, region: $0) })
    data.sent = 1
    let text = StudyReport(await StudySummary.make(data), version: "test", command: "c").text
    #expect(text.contains("1 probe from 1 source to 1 target, ") && text.contains("(10 min)"), "\(text)")
  }

  @Test func emulatedDataAreCalledSo() async throws {
    let report = await report(emulated: "two regions")
    #expect(report.page.title.contains("(emulated data)"))
    #expect(report.summary.findings[0].sentence.contains("made by an emulator (two regions)"))
    #expect(try report.page.html().contains("emulated data"))
  }

  @Test func rowsAreJSON() async throws {
    for object in await report().objects {
      #expect(JSONSerialization.isValidJSONObject(object), "\(object)")
    }
    let kinds = await report().objects.compactMap { $0["kind"] as? String }
    #expect(kinds.count { $0 == "pair" } == 9)
    #expect(kinds.count { $0 == "comparison" } == 6)
    #expect(kinds.count { $0 == "exclusion" } == 1)
  }

  /// On a phone, in a small window and in a large one: the page fits, and its tables fit into the large one.
  @Test(arguments: [400, 900, 1600])
  func thePageFitsIntoTheWindow(width: Int) async throws {
    let layout = try await Browser.find().layout(of: try await report().page.html(), width: width)
    #expect(layout.excess == 0 && layout.charts.count == 5)
    for chart in layout.charts {
      #expect(chart.excess <= 1 && chart.cut == [] && !chart.caption.isEmpty, "\(chart)")
    }
    for table in layout.tables {
      #expect(!table.caption.isEmpty)
      if width >= 1200 { #expect(table.hidden == 0, "\(table)") }
    }
  }

  /// A difference that does not stand beside an interval without zero would be a riddle.
  @Test func whyADifferenceDoesNotStandIsSaid() async throws {
    let html = try await report().page.html()
    #expect(html.contains("judged by the p90 of each day, not by the p50 and p95 of the whole study"))
    #expect(html.contains("<dt>p90 of a day stands</dt>"))
    let verdicts = html.matches(
      of: /<td class="text">(yes|no: may be zero|no: one of many comparisons)<\/td>/)
    #expect(verdicts.count >= 6)
    // Value and interval are one cell.
    #expect(html.contains(/<td class="text">[+−]\d+ \([+−]?\d+\.\.[+−]?\d+\)<\/td>/))
    // The kernel's round trips are not known here: no column of dashes is shown.
    #expect(!html.contains("round trip (ms)</th>") && html.contains("TCP connect (ms)</th>"))
  }

  @Test func thePageShowsItsChartsInABrowser() async throws {
    let html = try await report().page.html()
    #expect(html.utf8.count < 5_000_000)
    let document = try await Browser.find().open(html)
    #expect(document.isDone)
    #expect(document.faults.isEmpty, "\(document.faults)")
    // Two heat maps, the day, near against far, TCP connects.
    #expect(document.charts == 5 && document.drawn == 5)
    for chart in 1...5 { #expect((document.marks(chart) ?? 0) > 0, "chart \(chart)") }
    #expect(document.text.contains("What was left out, and why"))
    #expect(document.text.contains("no end after 30 s"))
  }
}
