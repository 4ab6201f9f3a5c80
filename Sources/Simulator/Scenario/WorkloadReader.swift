import Foundation
import SpeculationCore
import StrictYAML

/// Reads what a scenario says of requests: `workload`, `goodput`, `capacity`, and the server's limits.
struct WorkloadReader {
  private typealias Arrivals = ScenarioKeys.Arrivals

  /// Paths in a scenario are relative to it.
  let folder: URL

  /// Nil when the scenario says nothing of all this: each text is then written once, `sessions` at a time.
  ///
  /// - Parameter sessions: users of a closed loop that does not say how many it has
  func workload(_ root: YAMLSection, sessions: Int) throws(YAMLError) -> Workload? {
    let section = try ScenarioKeys.workload.read(root)
    let goodput = try goodput(ScenarioKeys.goodput.read(root))
    let capacity = try capacity(ScenarioKeys.capacity.read(root))
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
    let workload = try? ScenarioKeys.workload.read(root)
    let trace = try? Arrivals.trace.read(ScenarioKeys.Requests.arrivals.read(workload))
    return (try? Arrivals.Trace.file.read(trace)).flatMap { $0.map { [$0] } } ?? []
  }

  private func path(_ text: String) -> String {
    URL(fileURLWithPath: text, relativeTo: folder).standardizedFileURL.path
  }

  // MARK: Requests

  private func read(
    _ section: YAMLSection, into workload: inout Workload, sessions: Int
  ) throws(YAMLError) {
    typealias Keys = ScenarioKeys.Requests
    workload.requests = try Keys.requests.read(section)
    workload.warmUp = try Keys.warmUp.value(section)
    let prompt = try length(section, Keys.prompt)
    let answer = try length(section, Keys.answer)
    if let arrivals = try Keys.arrivals.read(section) {
      workload.arrivals = try self.arrivals(arrivals, sessions: sessions)
    }
    switch workload.arrivals {
    case .trace:
      for key in [Keys.prompt.name, Keys.answer.name] where section.has(key) {
        throw section.error(key, "a trace has lengths of its own", hint: "remove \(key)")
      }
    case .constant, .poisson, .diurnal, .closedLoop: (workload.prompt, workload.answer) = (prompt, answer)
    }
  }

  private func arrivals(_ section: YAMLSection, sessions: Int) throws(YAMLError) -> ArrivalProcess {
    let kinds = [
      Arrivals.rate.name, Arrivals.poisson.name, Arrivals.diurnal.name, Arrivals.users.name,
      Arrivals.trace.name,
    ]
    let written = kinds.filter(section.has)
    guard written.count == 1 else {
      throw section.error(
        written.last,
        written.isEmpty
          ? "arrivals need a kind" : "arrivals are of one kind, found \(written.joined(separator: ", "))",
        hint: "rate, poisson, diurnal, users or trace, such as {poisson: 4/s}")
    }
    if let value = try Arrivals.rate.read(section) { return .constant(rate: try rate(value)) }
    if let value = try Arrivals.poisson.read(section) { return .poisson(rate: try rate(value)) }
    if let diurnal = try Arrivals.diurnal.read(section) { return .diurnal(try self.diurnal(diurnal)) }
    if let trace = try Arrivals.trace.read(section) { return .trace(try self.trace(trace)) }
    return .closedLoop(
      users: try Arrivals.users.read(section) ?? sessions,
      thinkTime: try Arrivals.thinkTime.value(section))
  }

  private func diurnal(_ section: YAMLSection) throws(YAMLError) -> DailyRate {
    typealias Keys = ScenarioKeys.Arrivals.Diurnal
    let mean = try rate(try Keys.mean.required(section))
    let period = try Keys.period.value(section)
    let start = try Keys.start.value(section)
    guard start <= period else {
      throw section.error(Keys.start.name, "must be at most the period, \(YAMLDuration.text(period))")
    }
    let parts = try Keys.hours.read(section)?.list(maxCount: 1000) { (value) throws(YAMLError) in
      try value.number(in: 0...1e6)
    }
    let peak = try Keys.peak.read(section)
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
    typealias Keys = ScenarioKeys.Arrivals.Trace
    var trace = RequestTrace(path: path(try Keys.file.required(section)))
    trace.scale = try Keys.scale.value(section)
    trace.limit = try Keys.limit.read(section)
    trace.start = try Keys.start.value(section)
    trace.end = try Keys.end.read(section)
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

  private func length(
    _ section: YAMLSection, _ key: ScenarioKey<YAMLValue>
  ) throws(YAMLError) -> TokenLength? {
    typealias Keys = ScenarioKeys.Requests.Length
    guard let value = try key.read(section) else { return nil }
    guard value.kind == .mapping else { return .fixed(try value.integer(in: TokenLength.limits)) }
    let section = try value.section()
    if let range = try Keys.uniform.read(section) {
      let ends = try range.list(maxCount: 2) { (value) throws(YAMLError) in
        try value.integer(in: TokenLength.limits)
      }
      guard ends.count == 2, ends[0] <= ends[1] else {
        throw range.error("a range has two lengths, the shorter first", hint: "as in [100, 900]")
      }
      return .uniform(ends[0]...ends[1])
    }
    if let lognormal = try Keys.lognormal.read(section) {
      let most = try Keys.most.read(lognormal) ?? TokenLength.limits.upperBound
      return .lognormal(
        median: try lognormal.required("median", try lognormal.number("median", in: 1...Double(most))),
        sigma: try Keys.sigma.required(lognormal), limits: 1...most)
    }
    throw section.error(
      nil, "\(key.name) needs a length",
      hint: "such as 500, {uniform: [100, 900]} or {lognormal: {median: 500, sigma: 1}}")
  }

  // MARK: Limits

  private func goodput(_ section: YAMLSection?) throws(YAMLError) -> GoodputLimit? {
    guard let section else { return nil }
    let limit = GoodputLimit(
      timeToFirstToken: try ScenarioKeys.Goodput.ttft.read(section),
      interTokenLatency95: try ScenarioKeys.Goodput.itl95.read(section),
      timePerOutputToken: try ScenarioKeys.Goodput.tpot.read(section))
    guard limit != GoodputLimit() else {
      throw section.error(
        nil, "goodput needs a limit", hint: "ttft, itl-p95 or tpot, such as {ttft: 1s, itl-p95: 50ms}")
    }
    return limit
  }

  private func capacity(_ section: YAMLSection?) throws(YAMLError) -> CapacityGoal? {
    guard let section else { return nil }
    typealias Keys = ScenarioKeys.Capacity
    let most = try Keys.most.value(section)
    let goal = CapacityGoal(
      timeToFirstToken95: try Keys.ttft95.read(section), interTokenLatency95: try Keys.itl95.read(section),
      timePerOutputToken95: try Keys.tpot95.read(section), streams: 1...most,
      requestsPerStream: try Keys.requestsPerStream.value(section))
    guard goal.hasLimit else {
      throw section.error(
        nil, "capacity needs a limit", hint: "ttft-p95, itl-p95 or tpot-p95, such as {tpot-p95: 50ms}")
    }
    return goal
  }

  private func limits(_ root: YAMLSection) throws(YAMLError) -> ServingLimits {
    typealias Keys = ScenarioKeys.Limits
    return ServingLimits(
      cacheTokens: try Keys.cacheTokens.read(root), maxSessions: try Keys.maxSessions.read(root),
      maxWaiting: try Keys.maxWaiting.read(root), context: try Keys.context.read(root),
      branches: try Keys.branches.read(root), prefillChunk: try Keys.prefillChunk.read(root))
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
