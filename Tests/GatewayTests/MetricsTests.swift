import Foundation
import Gateway
import NodeRuntime
import Testing

struct MetricsTests {
  /// The page and docs/operations.md name the same figures, so that nobody has to read the source for one.
  @Test func everyFigureIsDocumented() async throws {
    try await TestServer.run { server in
      let page = try await server.client.get("/metrics").text
      let shown = Set(
        page.split(separator: "\n").filter { $0.hasPrefix("# TYPE ") }.map {
          String($0.split(separator: " ")[2])
        })
      #expect(shown.count > 40)
      let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
      let text = try String(contentsOf: root.appending(path: "docs/operations.md"), encoding: .utf8)
      let section = try #require(
        text.split(separator: "\n## ").first { $0.hasPrefix("Metrics") })
      let documented = Set(
        section.matches(of: /`((?:vllm:|wanspec_)[a-z0-9_]+)/).map { String($0.output.1) })
      #expect(shown.subtracting(documented).sorted() == [], "not documented")
      #expect(documented.subtracting(shown).sorted() == [], "not shown")
    }
  }
}
