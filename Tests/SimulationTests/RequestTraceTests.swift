import Foundation
import Simulator
import SpeculationCore
import SplitMix
import Testing

/// Traces are written by the tests; `azure` and `mooncake` have the format of those that were published, with
/// numbers made up.
struct RequestTraceTests {
  static let own = "arrival,prompt,answer\n0,100,20\n1.5,7,1\n1.5s,8,2\n2100ms,9,3\n"
  static let azure = """
    TIMESTAMP,ContextTokens,GeneratedTokens\r
    2023-11-16 23:59:59.9799600,4808,10\r
    2023-11-17 00:00:00.0319601,110,27\r
    """
  static let mooncake = """
    {"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1, 2]}
    {"timestamp": 3052.5, "input_length": 7322, "output_length": 490, "hash_ids": []}
    {"hash_ids":[ 7 ],"output_length":1,"input_length":2,"timestamp":27482}
    """

  /// A folder that is gone afterwards.
  private final class Folder {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(at: url) }

    func write(_ bytes: [UInt8]) throws -> String {
      let path = url.appendingPathComponent("trace").path
      try Data(bytes).write(to: URL(fileURLWithPath: path))
      return path
    }
  }

  /// By the system's gzip, from a file: a pipe on each side of it would wait for the other.
  private static func gzip(_ text: String) throws -> [UInt8] {
    let folder = try Folder()
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["gzip", "-c", try folder.write(Array(text.utf8))]
    let sink = Pipe()
    process.standardOutput = sink
    try process.run()
    let output = try sink.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0)
    return [UInt8](output)
  }

  private static func read(
    _ bytes: [UInt8], _ change: (inout RequestTrace) -> Void = { _ in }
  ) throws -> [RequestArrival] {
    let folder = try Folder()
    var trace = RequestTrace(path: try folder.write(bytes))
    change(&trace)
    let arrivals = try RequestArrivals(Workload(arrivals: .trace(trace)), seed: 1)
    var all: [RequestArrival] = []
    while let next = try arrivals.next() { all.append(next) }
    return all
  }

  private static func read(
    _ text: String, _ change: (inout RequestTrace) -> Void = { _ in }
  ) throws -> [RequestArrival] { try read(Array(text.utf8), change) }

  private static func arrivals(_ values: [(Int64, Int, Int)]) -> [RequestArrival] {
    values.map { RequestArrival(time: $0.0, prompt: $0.1, answer: $0.2) }
  }

  // MARK: What is read

  @Test func readsOwnColumns() throws {
    let expected = Self.arrivals([
      (0, 100, 20), (1_500_000_000, 7, 1), (1_500_000_000, 8, 2), (2_100_000_000, 9, 3),
    ])
    #expect(try Self.read(Self.own) == expected)
    #expect(try Self.read("\u{FEFF}" + Self.own.replacing("\n", with: "\r\n")) == expected, "BOM, CR LF")
    #expect(try Self.read(String(Self.own.dropLast())) == expected, "no newline at the end")
    #expect(try Self.read(Self.own.replacing("\n", with: "\n\n") + " \n") == expected, "blank lines")
    #expect(
      try Self.read("\"answer\" , prompt, arrival\n20,100,0\n 1 ,\"7\",1.5\n")
        == Array(expected.prefix(2)), "any order, quotes, spaces")
  }

  @Test func readsAzures() throws {
    #expect(try Self.read(Self.azure) == Self.arrivals([(0, 4808, 10), (52_000_100, 110, 27)]))
    let zones = """
      TIMESTAMP,ContextTokens,GeneratedTokens
      2024-02-28T23:59:59Z,1,1
      2024-02-29 01:00:01.5+01:00,1,1
      2024-02-28T23:30:03-0030,1,1
      2024-02-29 00:00:04+00,1,1
      2024-03-01 00:00:00,1,1
      """
    #expect(
      try Self.read(zones).map(\.time) == [
        0, 2_500_000_000, 4_000_000_000, 5_000_000_000, 86_401_000_000_000,
      ])
  }

  @Test func readsMooncakes() throws {
    #expect(
      try Self.read(Self.mooncake)
        == Self.arrivals([(0, 6758, 500), (3_052_500_000, 7322, 490), (27_482_000_000, 2, 1)]))
  }

  @Test(arguments: [
    ("0.0000000014", 1), ("0.1", 100_000_000), ("0.30000000000000004", 300_000_000), ("1e-05", 10_000),
    ("2.5E1", 25_000_000_000), ("12345678.123456789", 12_345_678_123_456_789), ("90us", 90_000),
    ("0.5 min", 30_000_000_000), ("1h", 3_600_000_000_000), ("00", 0), ("-0", 0),
  ])
  func timesAreExactToTheNanosecond(text: String, expected: Int64) throws {
    #expect(try Self.read("arrival,prompt,answer\n\(text),1,1")[0].time == expected)
  }

  @Test func takesPartsAtAnotherSpeed() throws {
    func times(_ change: (inout RequestTrace) -> Void) throws -> [Int64] {
      try Self.read("arrival,prompt,answer\n0,1,1\n1,1,1\n2,1,1\n3,1,1\n4,1,1\n", change).map {
        $0.time / 1_000_000
      }
    }
    #expect(try times { $0.scale = 4 } == [0, 250, 500, 750, 1000])
    #expect(try times { $0.limit = 2 } == [0, 1000])
    #expect(
      try times {
        $0.start = .milliseconds(1500)
        $0.end = .seconds(4)
      } == [500, 1500], "from the start on, without the end")
    #expect(
      try times {
        ($0.start, $0.limit, $0.scale) = (.seconds(1), 3, 0.5)
      } == [0, 2000, 4000])
  }

  @Test func sumsUp() throws {
    let folder = try Folder()
    let summary = try RequestTrace(path: folder.write(Array(Self.own.utf8))).summary()
    #expect(summary.requests == 4 && summary.promptTokens == 124 && summary.answerTokens == 26)
    #expect(summary.longestPrompt == 100 && summary.longestAnswer == 20)
    #expect(summary.duration == .milliseconds(2100))
  }

  // MARK: Large files

  /// Many chunks, compressed in one member and in two.
  @Test func readsWhatIsLongerThanAChunk() throws {
    var random = SplitMix64(seed: 9)
    let expected = (0..<60_000).map { index in
      RequestArrival(
        time: Int64(index) * 1_000_000, prompt: Int(random.next() % 9999) + 1,
        answer: Int(random.next() % 99) + 1)
    }
    func lines(_ requests: ArraySlice<RequestArrival>) -> String {
      requests.map { "\($0.time / 1_000_000)ms,\($0.prompt!),\($0.answer!)\n" }.joined()
    }
    let header = "arrival,prompt,answer\n"
    #expect(try Self.read(header + lines(expected[...])) == expected)
    #expect(try Self.read(Self.gzip(header + lines(expected[...]))) == expected)
    let members = try Self.gzip(header + lines(expected[..<777])) + Self.gzip(lines(expected[777...]))
    #expect(try Self.read(members) == expected)
  }

  /// Far more than any machine's memory, had it to be loaded.
  @Test func readsNoMoreThanItNeeds() throws {
    let folder = try Folder()
    let path = try folder.write(Array(Self.own.utf8))
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    try file.truncate(atOffset: 1 << 40)
    try file.close()
    let trace = RequestTrace(path: path, limit: 4)
    #expect(try trace.summary().requests == 4, "the tail is never reached")
    #expect {
      try RequestTrace(path: path).summary()
    } throws: { "\($0)".contains(":6: the line is longer than 64 KiB") }
  }

  @Test func damagedCompressionIsSaidSo() throws {
    let whole = try Self.gzip((0..<5000).reduce("arrival,prompt,answer\n") { $0 + "\($1),\($1 + 1),1\n" })
    for count in [10, 100, whole.count / 2, whole.count - 1] {
      #expect {
        try Self.read(Array(whole[..<count]))
      } throws: { "\($0)".contains("the compressed file ends too early") }
    }
    var damaged = whole
    damaged[whole.count / 2] ^= 0xFF
    #expect(throws: TraceError.self) { try Self.read(damaged) }
    #expect {
      try Self.read(whole + Array("more".utf8))
    } throws: { "\($0)".contains("the compressed file is damaged") }
  }

  // MARK: Bad input

  static let wrong: [(String, String)] = [
    ("", "trace: is empty"),
    ("\n \n", "trace: is empty"),
    ("arrival,prompt,answer\n", "trace: has no requests"),
    ("0,1,2\n", ":1:1: the first line must name the columns, found \"0\""),
    ("arrival,promt,answer\n", ":1:9: unknown column \"promt\"; did you mean \"prompt\"?"),
    ("arrival,prompt,answer,cost\n", ":1:23: unknown column \"cost\""),
    ("arrival;prompt;answer\n", ":1:1: unknown column \"arrival;prompt;answer\""),
    ("arrival,prompt,prompt\n", ":1:16: there are two columns with the prompt"),
    ("prompt,TIMESTAMP\n", ":1: there is no column \"answer\""),
    ("arrival,prompt,answer\n0,1\n", ":2:4: expected 3 values, found 2"),
    ("arrival,prompt,answer\n0,1,2,3\n", ":2:7: expected 3 values, found more"),
    (
      "arrival,prompt,answer\n5,1,1\n\n4.9,1,1\n", ":4:1: arrival \"4.9\" is before the arrival above it (5s)"
    ),
    ("arrival,prompt,answer\n-1,1,1\n", ":2:1: arrival \"-1\" is negative"),
    ("arrival,prompt,answer\n1700000000,1,1\n", "is more than ten years after the start"),
    ("arrival,prompt,answer\n999999999999999999999,1,1\n", ":2:1: arrival"),
    ("arrival,prompt,answer\nsoon,1,1\n", ":2:1: arrival \"soon\" is no time"),
    ("arrival,prompt,answer\n1.,1,1\n", "arrival \"1.\" is no time"),
    ("arrival,prompt,answer\n.5,1,1\n", "arrival \".5\" is no time"),
    ("arrival,prompt,answer\n1x,1,1\n", "arrival \"1x\" is no time"),
    ("arrival,prompt,answer\nnan,1,1\n", "arrival \"nan\" is no time"),
    ("arrival,prompt,answer\n,1,1\n", "arrival \"\" is no time"),
    ("arrival,prompt,answer\n2023-02-29 00:00:00,1,1\n", "is no time"),
    ("arrival,prompt,answer\n2023-11-16 24:00:00,1,1\n", "is no time"),
    ("arrival,prompt,answer\n2023-11-16 18:17:03+,1,1\n", "is no time"),
    ("arrival,prompt,answer\n2023-11-16,1,1\n", "is no time"),
    ("arrival,prompt,answer\n0,1,1\n2023-11-16 18:17:03,1,1\n", ":3:1: arrival"),
    ("arrival,prompt,answer\n2023-11-16 18:17:03,1,1\n7,1,1\n", "is not written as the arrivals above it"),
    ("arrival,prompt,answer\n2023-11-16 18:17:03,1,1\n2023-11-16 18:17:02,1,1\n", ":3:1: arrival"),
    ("arrival,prompt,answer\n0,0,1\n", ":2:3: prompt \"0\" is no number of tokens from 1 to 10000000"),
    ("arrival,prompt,answer\n0,1,-5\n", ":2:5: answer \"-5\" is no number of tokens"),
    ("arrival,prompt,answer\n0,1.5,1\n", ":2:3: prompt \"1.5\""),
    ("arrival,prompt,answer\n0,1,10000001\n", ":2:5: answer \"10000001\""),
    ("arrival,prompt,answer\n0,99999999999999999999,1\n", ":2:3: prompt"),
    ("arrival,prompt,answer\n0,\u{0661},1\n", ":2:3: prompt"),
    ("arrival,prompt,answer\n0,1\u{0},1\n", ":2:4: the line has a NUL byte"),
    ("{\"timestamp\":0,\"input_length\":1}", ":1: \"output_length\" is missing"),
    (
      "{\"timestamp\":0,\"input_lenght\":1}",
      ":1:16: unknown key \"input_lenght\"; did you mean \"input_length\"?"
    ),
    ("{\"timestamp\":0,\"timestamp\":1}", ":1:16: \"timestamp\" is there twice"),
    ("{\"timestamp\":\"0\"}", ":1:14: expected a number, found \"\\\"0\\\"}\""),
    ("{\"timestamp\":0,\"hash_ids\":[1,[2]]}", "expected a number, found \"[2]]}\""),
    (
      "{\"timestamp\":1-2,\"input_length\":1,\"output_length\":1}",
      "arrival \"1-2\" is no time in milliseconds"
    ),
    (
      "{\"timestamp\":0,\"input_length\":1,\"output_length\":1",
      "expected \"}\", found the end of the line"
    ),
    ("{\"timestamp\":0,\"input_length\":1,\"output_length\":1} x", ":1:52: expected the end of the line"),
    ("{\"timestamp\":0,\"input_length\":1,\"output_length\":1}\n7", ":2:1: expected \"{\", found \"7\""),
    ("{\"timestamp", "expected a key"),
  ]

  @Test(arguments: wrong) func errorsSayWhereAndWhat(text: String, expected: String) {
    do {
      let requests = try Self.read(text)
      Issue.record("read \(requests)")
    } catch {
      #expect("\(error)".contains(expected), "\(error)")
    }
  }

  @Test func whatCannotBeReadIsSaidSo() throws {
    #expect(
      throws: TraceError("/nowhere/x.csv", "cannot be read", hint: "check the path and its permissions")
    ) { try RequestTrace(path: "/nowhere/x.csv").summary() }
    #expect(throws: TraceError.self) { try RequestTrace(path: "/").summary() }
    #expect {
      try Self.read(Self.own) { $0.start = .seconds(9) }
    } throws: {
      "\($0)".contains("no request lies between start and end\n  hint: the trace goes from 0s to 2100ms")
    }
    #expect(throws: TraceError.self) { try Self.read([0xFF, 0xFE, 0x61, 0x00]) }
    #expect(throws: TraceError.self) { try Self.read([0x61, 0xC3, 0x28, 0x0A]) }
  }

  /// Cut or changed anywhere, a trace is read or refused. Nothing traps.
  @Test func damageNeverTraps() throws {
    var refused = 0
    let folder = try Folder()
    func read(_ bytes: [UInt8]) throws {
      do { _ = try RequestTrace(path: folder.write(bytes)).summary() } catch is TraceError { refused += 1 }
    }
    for text in [Self.own, Self.azure, Self.mooncake] {
      let bytes = Array(text.utf8)
      for index in bytes.indices {
        for change in [0x00, 0x2C, 0x39] as [UInt8] {
          var damaged = bytes
          damaged[index] = change
          try read(damaged)
        }
        try read(Array(bytes[..<index]))
      }
    }
    #expect(refused > 500)
  }
}
