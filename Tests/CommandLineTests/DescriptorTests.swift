import ProcessControl
import Testing

/// Programs that listen, without file descriptors for what they hear.
struct DescriptorTests {
  @Test(arguments: ["link", "emulate"])
  func acceptingPauses(kind: String) async throws {
    let result = try await ServeTests.script(
      "Benchmarks/exhaust-descriptors", ["--program", Program.url.path, "--kind", kind, "--limit", "60"])
    #expect(result.status == 0, "\(result.output) \(result.errors)")
  }
}
