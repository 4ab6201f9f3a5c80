import Foundation
import SpeculationCore
import StrictYAML

/// Reads what a scenario says of requests: `workload`, `goodput`, `capacity`, and the server's limits.
struct WorkloadReader {
  /// Paths in a scenario are relative to it.
  let folder: URL

  /// Nil when the scenario says nothing of all this: each text is then written once, `sessions` at a time.
  ///
  /// - Parameter sessions: users of a closed loop that does not say how many it has
  func workload(_ root: YAMLSection, sessions: Int) throws(YAMLError) -> Workload? {
    let section = try root.section("workload")
    let goodput = try goodput(root.section("goodput"))
    let capacity = try capacity(root.section("capacity"))
    let limits = try limits(root)
    guard section != nil || goodput != nil || capacity != nil || limits != ServingLimits() else { return nil }
    var workload = Workload(
      arrivals: .closedLoop(users: sessions), goodput: goodput, capacity: capacity, limits: limits)
    if let section { try read(section, into: &workload, sessions: sessions) }
    if capacity != nil {
      guard case .closedLoop = workload.arrivals else {
        throw root.error(
          "capacity", "streams are counted in a closed loop, and the workload has arrivals of another kind",
          hint: "remove workload.arrivals, or use goodput")
      }
    }
    try check(workload, root)
    return workload
  }

  /// Files that a workload depends on beside the document, as the document names them.
  func files(_ root: YAMLSection) -> [String] {
    let trace = try? root.section("workload")?.section("arrivals")?.section("trace")
    return (try? trace?.text("file")).map { [$0] } ?? []
  }

  private func path(_ text: String) -> String {
    URL(fileURLWithPath: text, relativeTo: folder).standardizedFileURL.path
  }

  // MARK: Requests

  private func read(
    _ section: YAMLSection, into workload: inout Workload, sessions: Int
  ) throws(YAMLError) {
    workload.requests = try section.integer("requests", in: 1...100_000_000)
    workload.warmUp = try section.duration("warm-up", in: .zero ... .seconds(30 * 86_400)) ?? .zero
    let prompt = try length(section, "prompt")
    let answer = try length(section, "answer")
    if let arrivals = try section.section("arrivals") {
      workload.arrivals = try self.arrivals(arrivals, sessions: sessions)
    }
    switch workload.arrivals {
    case .trace:
      for key in ["prompt", "answer"] where section.has(key) {
        throw section.error(key, "a trace has lengths of its own", hint: "remove \(key)")
      }
    case .constant, .poisson, .diurnal, .closedLoop: (workload.prompt, workload.answer) = (prompt, answer)
    }
  }

  private func arrivals(_ section: YAMLSection, sessions: Int) throws(YAMLError) -> ArrivalProcess {
    let kinds = ["rate", "poisson", "diurnal", "users", "trace"]
    let written = kinds.filter(section.has)
    guard written.count == 1 else {
      throw section.error(
        written.last,
        written.isEmpty
          ? "arrivals need a kind" : "arrivals are of one kind, found \(written.joined(separator: ", "))",
        hint: "rate, poisson, diurnal, users or trace, such as {poisson: 4/s}")
    }
    if let value = section.value("rate") { return .constant(rate: try rate(value)) }
    if let value = section.value("poisson") { return .poisson(rate: try rate(value)) }
    if let diurnal = try section.section("diurnal") { return .diurnal(try self.diurnal(diurnal)) }
    if let trace = try section.section("trace") { return .trace(try self.trace(trace)) }
    return .closedLoop(
      users: try section.integer("users", in: 1...100_000) ?? sessions,
      thinkTime: try section.duration("think-time", in: .zero ... .seconds(86_400)) ?? .zero)
  }

  private func diurnal(_ section: YAMLSection) throws(YAMLError) -> DailyRate {
    let mean = try rate(try section.required("mean", section.value("mean")))
    let period =
      try section.duration("period", in: .seconds(1) ... .seconds(366 * 86_400)) ?? .seconds(86_400)
    let start = try section.duration("start", in: .zero...period) ?? .zero
    let parts = try section.list("hours", maxCount: 1000) { (value) throws(YAMLError) in
      try value.number(in: 0...1e6)
    }
    let peak = try section.number("peak", in: 1...2)
    switch (parts, peak) {
    case (let parts?, nil):
      guard parts.reduce(0, +) > 0 else {
        throw section.error("hours", "the factors are all 0", hint: "at least one must be more")
      }
      return DailyRate(mean: mean, shape: .parts(parts), period: period, start: start)
    case (nil, let peak?):
      return DailyRate(mean: mean, shape: .sine(peak: peak), period: period, start: start)
    case (nil, nil), (.some, .some):
      throw section.error(
        nil, "diurnal needs either \"peak\" or \"hours\"",
        hint: "peak: the highest rate over the mean (1 to 2); hours: a factor for each part of the period")
    }
  }

  private func trace(_ section: YAMLSection) throws(YAMLError) -> RequestTrace {
    let file = try section.required("file", try section.text("file", maxLength: 4096))
    var trace = RequestTrace(path: path(file))
    trace.scale = try section.number("scale", in: 1e-3...1e6) ?? 1
    trace.limit = try section.integer("limit", in: 1...100_000_000)
    trace.start = try section.duration("start") ?? .zero
    trace.end = try section.duration("end")
    if let end = trace.end, end <= trace.start {
      throw section.error("end", "the end is not after the start, \(YAMLDuration.text(trace.start))")
    }
    // A wrong path or column is said here, with the scenario's line; what follows, as it is read.
    do {
      _ = try RequestTraceReader(trace)
    } catch {
      throw section.error("file", "\(error)")
    }
    return trace
  }

  /// As in 4/s, 240/min or 14400/h.
  /// - Returns: requests a second.
  private func rate(_ value: YAMLValue) throws(YAMLError) -> Double {
    let seconds = ["s": 1.0, "min": 60, "h": 3600]
    let parts = (value.scalar ?? "").split(separator: "/", omittingEmptySubsequences: false)
    let hint = "units: /s, /min, /h"
    guard let first = parts.first, YAMLDecimal.isDecimal(first), let number = Double(first) else {
      throw value.unexpected("a rate of requests, such as 4/s", hint: hint)
    }
    guard parts.count == 2 else {
      throw value.error("\(String(first)) has no unit; write \(String(first))/s", hint: hint)
    }
    guard let unit = seconds[String(parts[1])] else {
      throw value.error("unknown unit \("/\(parts[1])".shown)", hint: hint)
    }
    guard ArrivalProcess.rates.contains(number / unit) else {
      throw value.error("must be 0.0001/s to 1000000/s, found \(value.scalar?.shown ?? "")")
    }
    return number / unit
  }

  private func length(_ section: YAMLSection, _ key: String) throws(YAMLError) -> TokenLength? {
    guard let value = section.value(key) else { return nil }
    guard value.kind == .mapping else { return .fixed(try value.integer(in: TokenLength.limits)) }
    let section = try value.section()
    if let range = section.value("uniform") {
      let ends = try range.list(maxCount: 2) { (value) throws(YAMLError) in
        try value.integer(in: TokenLength.limits)
      }
      guard ends.count == 2, ends[0] <= ends[1] else {
        throw range.error("a range has two lengths, the shorter first", hint: "as in [100, 900]")
      }
      return .uniform(ends[0]...ends[1])
    }
    if let lognormal = try section.section("lognormal") {
      let most = try lognormal.integer("most", in: TokenLength.limits) ?? TokenLength.limits.upperBound
      return .lognormal(
        median: try lognormal.required("median", try lognormal.number("median", in: 1...Double(most))),
        sigma: try lognormal.required("sigma", try lognormal.number("sigma", in: 0...10)), limits: 1...most)
    }
    throw section.error(
      nil, "\(key) needs a length",
      hint: "such as 500, {uniform: [100, 900]} or {lognormal: {median: 500, sigma: 1}}")
  }

  // MARK: Limits

  private static let latencies = Duration.microseconds(1) ... .seconds(86_400)

  private func goodput(_ section: YAMLSection?) throws(YAMLError) -> GoodputLimit? {
    guard let section else { return nil }
    let limit = GoodputLimit(
      timeToFirstToken: try section.duration("ttft", in: Self.latencies),
      interTokenLatency95: try section.duration("itl-p95", in: Self.latencies),
      timePerOutputToken: try section.duration("tpot", in: Self.latencies))
    guard limit != GoodputLimit() else {
      throw section.error(
        nil, "goodput needs a limit", hint: "ttft, itl-p95 or tpot, such as {ttft: 1s, itl-p95: 50ms}")
    }
    return limit
  }

  private func capacity(_ section: YAMLSection?) throws(YAMLError) -> CapacityGoal? {
    guard let section else { return nil }
    let most = try section.integer("most", in: 1...1000) ?? 512
    let goal = CapacityGoal(
      timeToFirstToken95: try section.duration("ttft-p95", in: Self.latencies),
      interTokenLatency95: try section.duration("itl-p95", in: Self.latencies),
      timePerOutputToken95: try section.duration("tpot-p95", in: Self.latencies), streams: 1...most,
      requestsPerStream: try section.integer("requests-per-stream", in: 1...1000) ?? 4)
    guard goal.hasLimit else {
      throw section.error(
        nil, "capacity needs a limit", hint: "ttft-p95, itl-p95 or tpot-p95, such as {tpot-p95: 50ms}")
    }
    return goal
  }

  /// In the ranges of `wanspec serve`.
  private func limits(_ root: YAMLSection) throws(YAMLError) -> ServingLimits {
    ServingLimits(
      cacheTokens: try root.integer("cache-tokens", in: 1...(1 << 26)),
      maxSessions: try root.integer("max-sessions", in: 1...4096),
      maxWaiting: try root.integer("max-waiting", in: 0...65_536),
      context: try root.integer("context", in: 2...TokenLength.limits.upperBound),
      branches: try root.integer("branches", in: 1...65_536),
      prefillChunk: try root.integer("prefill-chunk", in: 1...65_536))
  }

  /// Settings that cannot go together.
  private func check(_ workload: Workload, _ root: YAMLSection) throws(YAMLError) {
    let limits = workload.limits
    if let cache = limits.cacheTokens, let context = limits.context, cache < context {
      throw root.error(
        "cache-tokens", "a request may have \(context) tokens, and the cache holds only \(cache)",
        hint: "raise cache-tokens or lower context")
    }
    if let branches = limits.branches, let sessions = limits.maxSessions, branches < sessions {
      throw root.error(
        "branches", "\(sessions) sessions need \(sessions) branches, and there are only \(branches)",
        hint: "raise branches or lower max-sessions")
    }
    let longest = (workload.prompt?.longest ?? 0) + (workload.answer?.longest ?? 0)
    for (key, most) in [("context", limits.context), ("cache-tokens", limits.cacheTokens)] {
      guard let most, longest > most else { continue }
      throw root.error(
        key, "a request may have \(longest) tokens, and \(key) is only \(most)",
        hint: "raise \(key), or bound workload.prompt and workload.answer")
    }
    if case .closedLoop(let users, _) = workload.arrivals, let running = limits.maxSessions,
      let waiting = limits.maxWaiting, users > running + waiting
    {
      throw root.error(
        "max-waiting",
        "some of \(users) users would be refused again and again: \(running) run, \(waiting) wait",
        hint: "raise max-sessions or max-waiting")
    }
  }
}
