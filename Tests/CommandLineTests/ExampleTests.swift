import Foundation
import Testing

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// The programs in `Examples`, as somebody who embeds the libraries would run them.
@Suite(.serialized, .enabled(if: Models.arePresent, "run `make test` once: it fetches the models"))
struct ExampleTests {
  @Test func aServerInFortyLines() async throws {
    let server = try await RunningProgram(
      program: "example-serve", [Models.target, Models.draft, "0"])
    let ready = try await server.line("serving on ")
    try await server.line("a worker drafts")
    let url = try #require(ready.split(separator: " ").first { $0.hasPrefix("http://") })
    var request = URLRequest(url: try #require(URL(string: url.trimmingSuffix(",") + "/v1/completions")))
    request.httpMethod = "POST"
    request.setValue("application/json", forHTTPHeaderField: "Content-Type")
    request.httpBody = Data(#"{"prompt": "One, two, three, four,", "max_tokens": 24, "temperature": 0}"#.utf8)
    let (data, response) = try await URLSession.shared.data(for: request)
    #expect((response as? HTTPURLResponse)?.statusCode == 200)
    let answer = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    let usage = try #require(answer["usage"] as? [String: Any])
    #expect(usage["completion_tokens"] as? Int == 24)
    server.signal(SIGTERM)
    #expect(await server.result().status == 0)
  }

  @Test func whoGuessedWhat() async throws {
    let program = try await RunningProgram(
      program: "example-generate",
      [Models.target, Models.draft, "One, two, three, four,"])
    let result = await program.result()
    #expect(result.status == 0, "\(result.errors)")
    let lines = result.output.split(separator: "\n")
    #expect(lines.contains { $0.hasPrefix("target\t") } && lines.contains { $0.hasPrefix("local\t") })
    #expect(lines.last?.contains("tokens a pass") == true, "\(result.output)")
  }

  @Test(arguments: ["example-serve", "example-generate"])
  func wrongArgumentsAreSaid(program: String) async throws {
    let result = try await RunningProgram(program: program, ["one"]).result()
    #expect(result.status == 64 && result.output.hasPrefix("usage: \(program)"))
  }
}

extension Substring {
  fileprivate func trimmingSuffix(_ suffix: String) -> String {
    String(hasSuffix(suffix) ? dropLast(suffix.count) : self)
  }
}
