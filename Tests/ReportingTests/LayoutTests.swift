import BrowserTesting
import Foundation
import Reporting
import Testing

/// Pages in windows as wide as a phone, a small and a large screen: nothing is cut, nothing sticks out, every figure is
/// explained.
@Suite(.serialized) struct LayoutTests {
  @Test(arguments: [400, 900, 1600])
  func everythingFitsIntoTheWindow(width: Int) async throws {
    let layout = try await Browser.find().layout(of: try Samples.report.html(), width: width)
    #expect(layout.width == Double(width))
    #expect(layout.excess == 0)
    #expect(layout.charts.count == 8)
    for chart in layout.charts {
      #expect(chart.excess <= 1 && chart.cut == [], "\(chart)")
      #expect(!chart.caption.isEmpty, "\(chart.title)")
    }
  }

  /// Long names everywhere: legends, titles, categories, colour bars.
  @Test(arguments: [400, 900, 1600])
  func longNamesFitToo(width: Int) async throws {
    let names = (1...7).map { "a variant with quite a long name, number \($0)" }
    var table = DataTable([
      "name", DataTable.Column("x", title: "the distance between the sites"),
      DataTable.Column("y", title: "speed against drafting locally", unit: "ms", decimals: 2), "end",
    ])
    for (index, name) in names.enumerated() {
      for x in 0..<4 {
        table.append([
          .text(name), .number(Double(x)), .number(Double(x * index + 1)), .number(Double(x) + 0.7),
        ])
      }
    }
    let title =
      "A title that says at length what is to be seen here, for those who read nothing else on the page"
    let page = Samples.page([
      Chart.line(table, title: title, subtitle: title, x: "x", y: "y", series: "name"),
      Chart.timeline(table, title: title, lane: "name", start: "x", end: "end", kind: "name"),
      Chart.heatMap(table, title: title, x: "x", y: "name", value: "y"),
      Chart.bars(table.filtered("x") { $0 == 1 }, title: title, x: "name", y: "y"),
    ])
    let layout = try await Browser.find().layout(of: try page.html(), width: width)
    #expect(layout.excess == 0)
    for chart in layout.charts { #expect(chart.excess <= 1 && chart.cut == [], "\(chart)") }
  }

  /// A wide table has the window's width, and scrolls within itself where that is too narrow.
  @Test func aWideTableTakesTheWindow() async throws {
    let columns = (0..<16).map { DataTable.Column("column \($0)") }
    let table = DataTable(columns, rows: [columns.map { _ in .number(123_456) }])
    let page = ReportPage(
      title: "Wide", sections: [.init("One", [.text("Words."), .table(table, caption: "Numbers.")])],
      provenance: Samples.provenance)
    let wide = try await Browser.find().layout(of: try page.html(), width: 1600)
    #expect(wide.excess == 0 && wide.tables.map(\.hidden) == [0])
    let narrow = try await Browser.find().layout(of: try page.html(), width: 400)
    #expect(narrow.excess == 0 && narrow.tables[0].hidden > 0)
  }

  /// The measure is measured: what sticks out and what is cut is seen.
  @Test func whatDoesNotFitIsFound() async throws {
    let html = try Samples.page([Samples.heatMap()]).html()
    let wide = html.replacing("<main>", with: "<main><div style=\"width: 2000px\">wide</div>")
    #expect(try await Browser.find().layout(of: wide, width: 900).excess > 0)
    let style = "<style>.view .role-axis-label text { transform: translate(-300px) }</style>"
    let cut = html.replacing("<main>", with: style + "<main>")
    let layout = try await Browser.find().layout(of: cut, width: 900)
    #expect(layout.charts.contains { !$0.cut.isEmpty }, "\(layout)")
  }

  @Test func aVariantKeepsItsColour() async throws {
    let known = ["plain", "near", "far", "farther"]
    func chart(_ names: [String]) -> Chart {
      var table = DataTable(["name", "x", "y"])
      for (index, name) in names.enumerated() {
        for x in 0..<3 { table.append([.text(name), .number(Double(x)), .number(Double(x + index))]) }
      }
      return .line(table, title: "Some", x: "x", y: "y", series: "name", among: known)
    }
    let page = Samples.page([chart(known), chart(["far", "near"]), chart(["farther"])])
    let charts = try await Browser.find().layout(of: try page.html(), width: 1200).charts
    #expect(charts[0].colors.count == 4 && Set(charts[0].colors.values).count == 4)
    #expect(charts[1].colors.count == 2 && charts[2].colors.count == 1)
    for chart in charts {
      for (name, color) in chart.colors { #expect(color == charts[0].colors[name], "\(name)") }
    }
  }

  @Test func linesThatCoincideAreBothSeen() throws {
    var table = DataTable(["name", "x", "y"])
    for x in 0..<4 {
      let value = Double(x * x)
      table.append(["first", .number(Double(x)), .number(value)])
      table.append(["same", .number(Double(x)), .number(value + (x > 2 ? 3 : 0))])
      table.append(["crossing", .number(Double(x)), .number(9 - value)])
    }
    let chart = Chart.line(table, title: "Three", x: "x", y: "y", series: "name")
    #expect(
      chart.spec.contains(
        "\"strokeDash\":{\"field\":\"s\",\"scale\":{\"domain\":[\"first\",\"same\",\"crossing\"],"
          + "\"range\":[[1,0],[7,5],[1,0]]}"), "\(chart.spec)")
    let html = try Samples.page([chart]).html()
    #expect(html.contains("Dashed lines lie on others for a stretch: same on first."))
    let apart = Chart.line(
      table.filtered("name") { $0 != "same" }, title: "Two", x: "x", y: "y", series: "name")
    #expect(!apart.spec.contains("strokeDash"))
  }

  @Test func binsOfFewCasesAreHollow() throws {
    let columns: [DataTable.Column] = ["stated", "seen", "cases"]
    let table = DataTable(columns, rows: [[0.2, 0.25, 200], [0.5, 1, 1], [0.8, 0.7, 90]])
    let chart = Chart.reliability(table, title: "Some", predicted: "stated", observed: "seen", count: "cases")
    #expect(chart.spec.contains("{\"filter\":\"datum.c >= 20\"}"))
    #expect(
      chart.spec.contains(
        "\"fillOpacity\":{\"condition\":{\"test\":\"datum.c >= 20\",\"value\":1},\"value\":0}"))
    #expect(try Samples.page([chart]).html().contains("Hollow points are bins of fewer than 20 cases"))
    let many = Chart.reliability(
      table.filtered("cases") { $0 != 1 }, title: "Many", predicted: "stated", observed: "seen",
      count: "cases")
    #expect(!many.spec.contains("filter"))
  }

  @Test func whatAFigureMeansIsOneClickAway() throws {
    let columns: [DataTable.Column] = [
      "x", DataTable.Column("speed", unit: "km/h", meaning: "Distance over <time>."), "empty",
    ]
    let table = DataTable(columns, rows: [[1, 2, nil], [2, 3, nil]])
    let page = ReportPage(
      title: "Speed",
      sections: [
        .init("One", [.chart(Chart.line(table, title: "Fast", x: "x", y: "speed")), .table(table)])
      ],
      provenance: Samples.provenance)
    let html = try page.html()
    #expect(
      html.components(separatedBy: "<dt>speed (km/h)</dt><dd>Distance over &lt;time&gt;.</dd>").count == 3)
    #expect(!html.contains("<th>empty") && html.contains("speed (km/h) against x."))
  }
}
