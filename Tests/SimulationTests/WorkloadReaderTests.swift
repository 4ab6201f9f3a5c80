import Foundation
import Simulator
import SpeculationCore
import StrictYAML
import Testing

struct WorkloadReaderTests {
  private static func scenario(_ text: String, folder: URL = Shipped.scenarios) throws(YAMLError) -> Scenario
  {
    try Scenario(
      try YAMLDocument(parsing: ScenarioTests.minimal + "\n" + text, name: "x.yaml"), folder: folder)
  }

  private static func workload(_ text: String) throws -> Workload? {
    try scenario(text).points[0].setup.workload
  }

  @Test func withoutKeysThereIsNone() throws {
    #expect(try Self.workload("") == nil)
    #expect(try Self.workload("sessions: 4") == nil)
  }

  static let arrivals: [(String, ArrivalProcess)] = [
    ("{rate: 4/s}", .constant(rate: 4)), ("{rate: 90/min}", .constant(rate: 1.5)),
    ("{poisson: 0.25/s}", .poisson(rate: 0.25)), ("{poisson: 3600/h}", .poisson(rate: 1)),
    ("{users: 12, think-time: 3s}", .closedLoop(users: 12, thinkTime: .seconds(3))),
    ("{diurnal: {mean: 4/s, peak: 2.0, period: 24h}}", .diurnal(DailyRate(mean: 4, shape: .sine(peak: 2)))),
    (
      "{diurnal: {mean: 4/s, hours: [1, 2, 0], period: 3h, start: 1h}}",
      .diurnal(DailyRate(mean: 4, shape: .parts([1, 2, 0]), period: .seconds(10_800), start: .seconds(3600)))
    ),
  ]

  @Test(arguments: arrivals) func readsArrivals(text: String, expected: ArrivalProcess) throws {
    #expect(try Self.workload("workload: {arrivals: \(text)}")?.arrivals == expected)
  }

  @Test func readsTheRest() throws {
    let workload = try Self.workload(
      """
      sessions: 3
      workload: {requests: 100, warm-up: 10s, prompt: {uniform: [5, 90]}, answer: {lognormal: {median: 40, sigma: 0.5, most: 300}}}
      goodput: {ttft: 1s, itl-p95: 50ms, tpot: 40ms}
      capacity: {itl-p95: 50ms, ttft-p95: 2s, most: 256, requests-per-stream: 6}
      cache-tokens: 9000
      max-sessions: 8
      max-waiting: 100
      context: 2048
      branches: 64
      prefill-chunk: 512
      """)
    #expect(
      workload
        == Workload(
          arrivals: .closedLoop(users: 3), requests: 100, prompt: .uniform(5...90),
          answer: .lognormal(median: 40, sigma: 0.5, limits: 1...300), warmUp: .seconds(10),
          goodput: GoodputLimit(
            timeToFirstToken: .seconds(1), interTokenLatency95: .milliseconds(50),
            timePerOutputToken: .milliseconds(40)),
          capacity: CapacityGoal(
            timeToFirstToken95: .seconds(2), interTokenLatency95: .milliseconds(50), streams: 1...256,
            requestsPerStream: 6),
          limits: ServingLimits(
            cacheTokens: 9000, maxSessions: 8, maxWaiting: 100, context: 2048, branches: 64, prefillChunk: 512
          )))
    #expect(try Self.workload("workload: {prompt: 30}")?.prompt == .fixed(30))
    #expect(try Self.workload("max-waiting: 0")?.limits == ServingLimits(maxWaiting: 0))
  }

  /// What a trace says is part of a point's identity: another content is another result.
  @Test func readsTraces() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      UUID().uuidString, isDirectory: true)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appendingPathComponent("day.csv")
    try Data("arrival,prompt,answer\n0,5,5\n9,5,5\n".utf8).write(to: file)
    let text = "workload: {arrivals: {trace: {file: day.csv, scale: 2, limit: 10, start: 1s, end: 1h}}}"
    let first = try Self.scenario(text, folder: folder).points[0]
    #expect(
      first.setup.workload?.arrivals
        == .trace(
          RequestTrace(path: file.path, scale: 2, limit: 10, start: .seconds(1), end: .seconds(3600))))
    try Data("arrival,prompt,answer\n0,5,5\n8,5,5\n".utf8).write(to: file)
    #expect(try Self.scenario(text, folder: folder).points[0].identity != first.identity)
    try Data("arrival,prompt\n".utf8).write(to: file)
    #expect {
      try Self.scenario(text, folder: folder)
    } throws: {
      let message = "\($0)"
      return message.hasPrefix("x.yaml:5: ") && message.contains("day.csv:1: there is no column \"answer\"")
    }
  }

  static let wrong: [(String, String)] = [
    ("workload: {arrivals: {}}", "arrivals need a kind"),
    ("workload: {arrivals: {rate: 4/s, poisson: 4/s}}", "arrivals are of one kind, found rate, poisson"),
    ("workload: {arrivals: {rate: 4}}", "4 has no unit; write 4/s"),
    ("workload: {arrivals: {rate: 4/day}}", "unknown unit \"/day\""),
    ("workload: {arrivals: {rate: -4/s}}", "must be 0.0001/s to 1000000/s"),
    ("workload: {arrivals: {rate: 0/s}}", "must be 0.0001/s to 1000000/s"),
    ("workload: {arrivals: {rate: 99999999/s}}", "must be 0.0001/s to 1000000/s"),
    ("workload: {arrivals: {rate: often}}", "expected a rate of requests"),
    ("workload: {arrivals: {rate: 4/s, think-time: 3s}}", "unknown key \"think-time\""),
    ("workload: {arrivals: {possion: 4/s}}", "arrivals need a kind"),
    ("workload: {arrivals: {users: 0}}", "workload.arrivals.users: must be 1 to 100000"),
    ("workload: {arrivals: {diurnal: {peak: 2}}}", "needs \"mean\""),
    ("workload: {arrivals: {diurnal: {mean: 4/s}}}", "diurnal needs either \"peak\" or \"hours\""),
    ("workload: {arrivals: {diurnal: {mean: 4/s, peak: 2, hours: [1]}}}", "diurnal needs either"),
    ("workload: {arrivals: {diurnal: {mean: 4/s, peak: 2.1}}}", "peak: must be 1 to 2"),
    ("workload: {arrivals: {diurnal: {mean: 4/s, hours: [0, 0]}}}", "the factors are all 0"),
    ("workload: {arrivals: {diurnal: {mean: 4/s, hours: []}}}", "the factors are all 0"),
    ("workload: {arrivals: {diurnal: {mean: 4/s, hours: [-1]}}}", "hours.0: must be 0"),
    ("workload: {arrivals: {trace: {scale: 2}}}", "needs \"file\""),
    ("workload: {arrivals: {trace: {file: none.csv}}}", "none.csv: cannot be read"),
    ("workload: {arrivals: {trace: {file: x, start: 2s, end: 2s}}}", "the end is not after the start, 2s"),
    ("workload: {arrivals: {trace: {file: x, scale: 0}}}", "scale: must be 0.001"),
    ("workload: {requests: 0}", "workload.requests: must be 1 to 100000000"),
    ("workload: {prompt: 0}", "workload.prompt: must be 1 to 10000000"),
    ("workload: {prompt: {uniform: [9, 5]}}", "a range has two lengths, the shorter first"),
    ("workload: {prompt: {uniform: [5]}}", "a range has two lengths, the shorter first"),
    ("workload: {prompt: {normal: 5}}", "prompt needs a length"),
    ("workload: {answer: {lognormal: {median: 9, sigma: 1, most: 5}}}", "median: must be 1 to 5"),
    ("workload: {promt: 5}", "unknown key \"promt\" in workload; did you mean \"prompt\"?"),
    ("goodput: {}", "goodput needs a limit"),
    ("goodput: {ttft: 5}", "5 has no unit; write 5ms"),
    ("goodput: {itl: 5ms}", "goodput needs a limit"),
    ("capacity: {most: 5}", "capacity needs a limit"),
    ("capacity: {itl-p95: 50ms, most: 1001}", "capacity.most: must be 1 to 1000"),
    (
      "capacity: {itl-p95: 50ms}\nworkload: {arrivals: {rate: 1/s}}",
      "streams are counted in a closed loop, and the workload has arrivals of another kind"
    ),
    ("cache-tokens: 0", "cache-tokens: must be 1 to 67108864"),
    ("max-sessions: 0", "max-sessions: must be 1 to 4096"),
    ("max-waiting: -1", "max-waiting: must be 0 to 65536"),
    ("cache-tokens: 100\ncontext: 200", "a request may have 200 tokens, and the cache holds only 100"),
    ("max-sessions: 9\nbranches: 8", "9 sessions need 9 branches, and there are only 8"),
    (
      "context: 100\nworkload: {prompt: 90, answer: 11}",
      "a request may have 101 tokens, and context is only 100"
    ),
    ("cache-tokens: 100\nworkload: {prompt: {uniform: [1, 101]}}", "and cache-tokens is only 100"),
    ("sessions: 9\nmax-sessions: 4\nmax-waiting: 4", "some of 9 users would be refused again and again"),
  ]

  @Test(arguments: wrong) func errorsSayWhereAndWhat(text: String, expected: String) {
    do {
      let workload = try Self.workload(text)
      Issue.record("read \(String(describing: workload))")
    } catch {
      let message = "\(error)"
      #expect(message.contains(expected) && message.hasPrefix("x.yaml:"), "\(message)")
    }
  }

  /// Lengths of a trace are its own.
  @Test func aTraceTakesNoLengths() throws {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).csv")
    defer { try? FileManager.default.removeItem(at: file) }
    try Data("arrival,prompt,answer\n0,5,5\n".utf8).write(to: file)
    #expect {
      try Self.workload("workload: {arrivals: {trace: {file: \(file.path)}}, answer: 5}")
    } throws: { "\($0)".contains("a trace has lengths of its own") }
  }
}
