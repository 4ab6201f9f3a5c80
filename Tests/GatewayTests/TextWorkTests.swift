import Dispatch
import Gateway
import Testing

struct TextWorkTests {
  static let long = TextWork.longBytes

  /// Long texts that are stuck keep nobody else waiting.
  @Test func shortTextsDoNotWaitForLongOnes() async throws {
    let work = TextWork()
    let stuck = DispatchSemaphore(value: 0)
    let connection = ClientConnection()
    let long = Task { try await work.run(bytes: Self.long, for: connection) { stuck.wait() } }
    let behind = Task { try await work.run(bytes: Self.long, for: connection) { 2 } }
    #expect(try await work.run(bytes: 10, for: connection) { 1 } == 1)
    stuck.signal()
    try await long.value
    #expect(try await behind.value == 2)
  }

  @Test func whatNobodyWaitsForIsPassedOver() async throws {
    let work = TextWork()
    let connection = ClientConnection()
    connection.gone()
    for bytes in [10, Self.long] {
      await #expect(throws: ClientGone.self) {
        try await work.run(bytes: bytes, for: connection) { Issue.record("it was read") }
      }
    }
  }

  @Test func longTextsThatWaitAreBounded() async throws {
    let work = TextWork()
    let stuck = DispatchSemaphore(value: 0)
    let connection = ClientConnection()
    let first = Task { try await work.run(bytes: Self.long, for: connection) { stuck.wait() } }
    let refused = try await withThrowingTaskGroup(of: APIError?.self) { group in
      for _ in 0..<TextWork.maxWaiting + 8 {
        group.addTask {
          do {
            try await work.run(bytes: Self.long, for: connection) {}
            return nil
          } catch let error as APIError {
            return error
          }
        }
      }
      var refused: [APIError] = []
      while let result = try await group.next() {
        if let result { refused.append(result) }
        // The first runs, or still waits with the others.
        if refused.count == 7 { stuck.signal() }
      }
      return refused
    }
    #expect((7...9).contains(refused.count))
    #expect(refused.allSatisfy { $0.status.code == 429 && $0.retryAfter == 1 })
    try await first.value
    #expect(try await work.run(bytes: Self.long, for: connection) { 1 } == 1)
  }
}
