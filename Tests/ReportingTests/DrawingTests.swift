import BrowserTesting
import Foundation
import Reporting
import Testing

/// The pages in a real browser. Every check here is also shown to fail on a page that deserves it.
@Suite(.serialized) struct DrawingTests {
  @Test(arguments: Samples.charts.map(\.name)) func everyKindOfChartDrawsItsData(_ name: String) async throws
  {
    let chart = try #require(Samples.charts.first { $0.name == name }).chart
    let document = try await Browser.find().open(try Samples.page([chart]).html())
    #expect(document.faults == [])
    #expect(try #require(document.marks(1)) >= 8)
    let picture = try #require(document.picture(1))
    #expect(picture.contains("<svg"))
    #expect(picture.contains(chart.title))
  }

  @Test func aWholeReportIsDrawn() async throws {
    let html = try Samples.report.html()
    if let path = ProcessInfo.processInfo.environment["WANSPEC_SAMPLE_PAGE"] {
      try Data(html.utf8).write(to: URL(filePath: path))
    }
    let document = try await Browser.find().open(html)
    #expect(document.faults == [])
    #expect(document.charts == 8)
  }

  @Test func aPageWithoutChartsIsSound() async throws {
    let page = ReportPage(
      title: "Words", sections: [.init("One", [.text("Only words."), .table(Samples.table)])],
      provenance: Samples.provenance)
    let document = try await Browser.find().open(try page.html())
    #expect(document.faults == [])
  }

  @Test(arguments: [
    (#"{"mark": "nothing", "data": {"values": [{"a": 1}]}}"#, "chart-1"),
    (#"{"mark": "point""#, "JSON"),
    (#"{"mark": "point", "data": {"values": [{"a": 1}]}, "encoding": {"x": {"field": "a", "type": 3}}}"#, ""),
    (
      #"{"mark": "point", "data": {"values": [{"a": 1}]}, "transform": [{"calculate": "nofun(1)", "as": "b"}]}"#,
      "nofun"
    ),
  ])
  func aBrokenSpecificationIsDetected(spec: String, word: String) async throws {
    let page = Samples.page([Chart(title: "Broken", caption: "Broken.", spec: spec), Samples.bars(.grouped)])
    let document = try await Browser.find().open(try page.html())
    #expect(document.faults != [])
    #expect(document.isDone)
    // The chart after it is drawn all the same.
    #expect(try #require(document.marks(2)) == 8)
    if !word.isEmpty {
      #expect(document.marks(1) == 0)
      #expect(document.drawn == 1)
      #expect(document.problems.contains { $0.contains(word) }, "\(document.problems)")
    }
  }

  @Test(arguments: [0, 1, 2, 3, 4, 5])
  func anEmptyDataSetIsDetected(_ kind: Int) async throws {
    let table = DataTable(["a", "b", "c", "d"])
    let chart =
      switch kind {
      case 0: Chart.line(table, title: "e", x: "a", y: "b", series: "c", rules: [.init(at: 1, label: "one")])
      case 1: Chart.frontier(table, title: "e", x: "a", y: "b", series: "c", parameter: "d")
      case 2: Chart.bars(table, title: "e", x: "a", y: "b", series: "c", rules: [.init(at: 1, label: "one")])
      case 3: Chart.timeline(table, title: "e", lane: "a", lanes: ["x"], start: "b", end: "c", kind: "d")
      case 4: Chart.heatMap(table, title: "e", x: "a", y: "b", value: "c")
      default: Chart.reliability(table, title: "e", predicted: "a", observed: "b", count: "c")
      }
    let document = try await Browser.find().open(try Samples.page([chart]).html())
    #expect(document.marks(1) == 0)
    #expect(document.faults.contains("0 of 1 charts drawn"), "\(document.faults)")
    #expect(document.text.contains("there is no data"))
  }

  @Test func onlyNumbersThatAreNoneAreNoData() async throws {
    let table = DataTable(["a", "b"], rows: [[1, .number(.nan)], [2, .number(.infinity)], [3, nil]])
    let chart = Chart.line(table, title: "none", x: "a", y: "b")
    #expect(!chart.spec.contains("nan") && !chart.spec.contains("inf\""))
    let document = try await Browser.find().open(try Samples.page([chart]).html())
    #expect(document.marks(1) == 0)
    #expect(document.errors == 0)
  }

  @Test(arguments: [
    "throw new Error('thrown <b>')", "Promise.reject(new Error('rejected'))", "console.error('complained')",
    "undefinedName.call()", "syntax error here", "fetch('http://127.0.0.1:9/x').catch(() => {})",
    "new Image().src = 'http://127.0.0.1:9/x.png'", "eval('1+1')",
  ])
  func aScriptErrorIsDetected(_ script: String) async throws {
    let html = try Samples.page([Samples.bars(.grouped)]).html()
    let bad = html.replacing("</main>", with: "</main><script>\(script)</script>")
    let document = try await Browser.find().open(bad)
    #expect(document.drawn == 1)
    #expect(try #require(document.errors) > 0)
    #expect(!document.problems.isEmpty)
    #expect(document.faults != [])
  }

  @Test func aMissingChartScriptIsDetected() async throws {
    let html = try Samples.page([Samples.bars(.grouped)]).html()
    let bad = html.replacing("window.vegaEmbed=", with: "window.somethingElse=")
    #expect(bad != html)
    let document = try await Browser.find().open(bad)
    #expect(document.drawn == 0)
    #expect(document.faults != [])
    // A page whose own script does not run at all still shows that it did not.
    let silent = html.replacing("data-state=\"waiting\"", with: "data-state=\"waiting\" x").replacing(
      "'use strict';", with: "return;")
    let waiting = try await Browser.find().open(silent)
    #expect(waiting.faults.contains("the page's script did not come to its end"))
  }

  @Test func textIsShownAsItIs() async throws {
    let nasty = "</script><script>alert(1)</script><!-- \"q\" 'a' & é 🚢 \u{2028} \\ ]]> ${x}"
    let shown =
      "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;!-- \"q\" 'a' &amp; é 🚢 \u{2028} \\ ]]&gt; ${x}"
    let table = DataTable(
      [.init("a.b[0]", title: nasty), .init("c'd\\e", title: nasty), .init(nasty, title: nasty)],
      rows: [[.text(nasty), 1, 2], ["b", 2, 3]])
    let page = ReportPage(
      title: nasty, subtitle: nasty, findings: [.init(nasty, nasty)],
      sections: [
        .init(
          nasty,
          [
            .text(nasty), .preformatted(nasty), .table(table, caption: nasty),
            .chart(
              Chart.bars(
                table, title: nasty, x: "a.b[0]", y: "c'd\\e", series: "a.b[0]",
                rules: [.init(at: 1, label: nasty)], tooltip: [nasty]
              ).captioned(nasty)),
          ])
      ],
      provenance: .init(scenario: nasty, seed: .max, version: nasty, command: nasty, lines: [nasty]))
    let document = try await Browser.find().open(try page.html())
    #expect(document.faults == [])
    #expect(document.marks(1) == 2)
    #expect(document.text.components(separatedBy: shown).count >= 15)
    #expect(document.text.contains("18446744073709551615"))
    #expect(try #require(document.picture(1)).contains(shown))
  }

  @Test func everyChartSaysWhatMadeIt() async throws {
    var other = Samples.provenance
    other.seed = 8
    let page = ReportPage(
      title: "Two",
      sections: [
        .init("A", [.chart(Samples.bars(.grouped)), .chart(Samples.bars(.stacked), provenance: other)])
      ], provenance: Samples.provenance)
    let html = try page.html()
    #expect(
      html.components(separatedBy: "made by: scenario river · seed 7 · ferries 1.2.0 (0123abc)").count == 2)
    #expect(
      html.components(separatedBy: "made by: scenario river · seed 8 · ferries 1.2.0 (0123abc)").count == 2)
    #expect(html.components(separatedBy: Samples.provenance.command).count == 3)
  }

  @Test func twentyThousandRowsStayBelowTheLimitAndAreDrawn() async throws {
    var table = DataTable([
      .init("time", title: "Time", unit: "ms"), .init("value", title: "Value", unit: "ms"), "series",
    ])
    for row in 0..<20_000 {
      table.append([
        .number(Double(row) * 1.23456789012345), .number(sin(Double(row) / 500) * 1000 / 3),
        .text("series \(row % 4)"),
      ])
    }
    let page = ReportPage(
      title: "Many rows",
      sections: [
        .init(
          "All",
          [.chart(Chart.line(table, title: "Many", x: "time", y: "value", series: "series")), .table(table)])
      ], provenance: Samples.provenance)
    let html = try page.html()
    #expect(html.utf8.count < 5_000_000)
    #expect(html.contains("The first 50 of 20000 rows."))
    let document = try await Browser.find().open(html)
    #expect(document.faults == [])
    #expect(try #require(document.marks(1)) > 4)
  }

  @Test func aMissingBrowserIsAFailureWithAHint() {
    #expect(Browser.Missing().description.contains("dev/bootstrap --tests"))
  }
}
