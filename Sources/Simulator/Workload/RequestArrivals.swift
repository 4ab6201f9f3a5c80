import SpeculationCore
import SplitMix

/// One request of a workload.
public struct RequestArrival: Hashable, Sendable {
  /// Nanoseconds since the start of the run.
  public var time: Int64
  /// Tokens; nil: as many as the text has that is written.
  public var prompt: Int?
  public var answer: Int?

  public init(time: Int64, prompt: Int? = nil, answer: Int? = nil) {
    self.time = time
    self.prompt = prompt
    self.answer = answer
  }
}

/// The requests of a workload, drawn or read one at a time as virtual time reaches them.
///
/// A class, since a trace is read from an open file. Times never fall. Equal workloads and seeds give equal
/// requests: times and lengths are drawn from generators of their own, so that another length moves no arrival.
public final class RequestArrivals {
  private enum Source {
    case drawn(ArrivalTimes)
    /// Users who have yet to ask for the first time.
    case closedLoop(waiting: Int, thinkTime: Int64)
    case trace(RequestTraceReader)
  }

  private var source: Source
  private let workload: Workload
  private var lengths: SplitMix64
  /// Requests that may still come.
  private var remaining: Int

  /// Opens the trace, if the workload has one.
  public init(_ workload: Workload, seed: UInt64) throws(TraceError) {
    var random = SplitMix64(seed: seed)
    let timeSeed = random.next()
    lengths = random.split()
    self.workload = workload
    remaining = workload.requests ?? .max
    switch workload.arrivals {
    case .constant, .poisson, .diurnal:
      source = .drawn(ArrivalTimes(workload.arrivals, seed: timeSeed)!)
    case .closedLoop(let users, let thinkTime):
      source = .closedLoop(waiting: users, thinkTime: thinkTime.wholeNanoseconds)
    case .trace(let trace): source = .trace(try RequestTraceReader(trace))
    }
  }

  /// Whether users ask again when they have their answers.
  var isClosedLoop: Bool {
    if case .closedLoop = source { return true }
    return false
  }

  /// The next request whose time is known already; nil when there is none. In a closed loop these are each
  /// user's first; the others come by `next(afterAnswerAt:)`.
  public func next() throws(TraceError) -> RequestArrival? {
    guard remaining > 0 else { return nil }
    switch source {
    case .drawn(var times):
      let time = times.next()
      source = .drawn(times)
      return time.map(arrival)
    case .closedLoop(let waiting, let thinkTime):
      guard waiting > 0 else { return nil }
      source = .closedLoop(waiting: waiting - 1, thinkTime: thinkTime)
      return arrival(at: 0)
    case .trace(let reader):
      guard let arrival = try reader.next() else { return nil }
      remaining -= 1
      return arrival
    }
  }

  /// What a user asks next who has an answer, or a refusal, since `time`; nil unless this is a closed loop with
  /// requests left.
  public func next(afterAnswerAt time: Int64) -> RequestArrival? {
    guard remaining > 0, case .closedLoop(_, let thinkTime) = source else { return nil }
    return arrival(at: time + thinkTime)
  }

  private func arrival(at time: Int64) -> RequestArrival {
    remaining -= 1
    // Both are drawn for each request, whatever else is decided about it.
    let prompt = workload.prompt?.draw(&lengths)
    return RequestArrival(time: time, prompt: prompt, answer: workload.answer?.draw(&lengths))
  }
}
