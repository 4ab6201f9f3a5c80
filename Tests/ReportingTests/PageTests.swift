import Foundation
import Reporting
import Testing

@Suite struct PageTests {
  @Test(arguments: Samples.charts.map(\.name)) func specificationsAreSortedJSON(_ name: String) throws {
    let spec = try #require(Samples.charts.first { $0.name == name }).chart.spec
    let object = try JSONSerialization.jsonObject(with: Data(spec.utf8))
    let sorted = try JSONSerialization.data(
      withJSONObject: object, options: [.sortedKeys, .withoutEscapingSlashes])
    let again = try JSONSerialization.jsonObject(with: sorted)
    #expect(object as? NSDictionary == again as? NSDictionary)
    #expect(spec.hasPrefix("{\"$schema\":\"https://vega.github.io/schema/vega-lite/v6.json\",\"config\":"))
    #expect(!spec.contains("<"))
    #expect(spec.contains("\"tooltip\":"))
  }

  /// The same bytes in this process and in every other: a dictionary's order, which changes with each process,
  /// would show in the digest.
  @Test func thePageIsAlwaysTheSameBytes() throws {
    #expect(try Samples.report.html() == Samples.report.html())
    let keys = try #require(Samples.bars(.grouped).spec.firstMatch(of: /"mark":\{[^}]*\}/)).0
    #expect(keys == "\"mark\":{\"color\":\"#0072B2\",\"type\":\"bar\"}")
  }

  @Test func thePageAsksForNothingFromAnywhere() throws {
    let html = try Samples.report.html()
    #expect(html.contains("default-src 'none'"))
    #expect(!html.contains("unsafe-eval"))
    let markup = html.replacing(/<script.*?<\/script>/.dotMatchesNewlines(), with: "")
    for pattern in ["src=", "href=\"h", "url(", "@import", "<link", "http:", "https:"] {
      #expect(!markup.contains(pattern), "\(pattern)")
    }
  }

  @Test func aPageAboveItsLimitIsRefused() throws {
    var page = Samples.report
    page.sizeLimit = 1_000_000
    _ = try Samples.report.html()
    page.sizeLimit = 10_000
    let error = #expect(throws: ReportError.self) { _ = try page.html() }
    #expect(error?.code == .tooLarge)
    #expect(error?.message.contains("more than its limit of 10000") == true)
  }

  @Test func numbersAreReadable() throws {
    let html = try Samples.report.html()
    for text in ["12\u{202F}840", ">7.2<", ">0.01235<", ">–<", "Waiting (min)"] {
      #expect(html.contains(text), "\(text)")
    }
  }

  @Test func categoriesKeepTheOrderOfTheRows() {
    #expect(Samples.bars(.grouped).spec.contains("\"domain\":[\"Mon\",\"Tue\",\"Sat\",\"Sun\"]"))
  }

  @Test func logarithmicAxesLeaveOutWhatTheyCannotShow() {
    #expect(Samples.logarithmic().spec.contains("{\"s\":\"linear\",\"x\":null,\"y\":null}"))
  }
}
