import SpeculationCore
import StrictYAML

/// Reads a trace, one request at a time. Times never fall; everything is checked.
final class RequestTraceReader {
  private enum Format {
    case table(TraceTable)
    case objects
  }

  /// How arrivals are written: all of a file in one way.
  private enum Origin {
    /// From the start of the trace.
    case relative
    /// By a clock, whose first reading this is.
    case clock(Int64)
  }

  private let trace: RequestTrace
  private let lines: TraceLines
  private let format: Format
  private let start: Int64
  private let end: Int64
  private var origin: Origin?
  /// The arrival before, in the trace's own time.
  private var last: Int64 = 0
  private var rows = 0
  private var taken = 0
  private var isEnded = false
  /// A line of objects has no header before it.
  private var isLineRead: Bool

  /// Reads as far as the columns.
  init(_ trace: RequestTrace) throws(TraceError) {
    self.trace = trace
    start = trace.start.wholeNanoseconds
    end = trace.end?.wholeNanoseconds ?? .max
    lines = try TraceLines(trace.path)
    guard try Self.nextLine(lines) else {
      throw TraceError(
        trace.path, "is empty", hint: "write \"arrival,prompt,answer\" and a line for each request")
    }
    isLineRead = lines.bytes.first { $0 != TraceRow.blank } == UInt8(ascii: "{")
    if isLineRead {
      format = .objects
    } else {
      do throws(TraceRow.Problem) {
        format = .table(try TraceTable(header: lines.bytes))
      } catch {
        throw Self.error(error, trace, lines)
      }
    }
  }

  /// The next request that is to be taken; nil after the last.
  func next() throws(TraceError) -> RequestArrival? {
    while !isEnded, taken < trace.limit ?? .max {
      let hasLine = isLineRead ? true : try Self.nextLine(lines)
      guard hasLine else {
        isEnded = true
        guard rows > 0 else {
          throw TraceError(trace.path, "has no requests", hint: "write a line for each below the columns")
        }
        break
      }
      isLineRead = false
      let request = try request()
      guard request.time < end else {
        isEnded = true
        break
      }
      guard request.time >= start else { continue }
      taken += 1
      let time = (Double(request.time - start) / trace.scale).rounded()
      return RequestArrival(
        time: trace.scale == 1 ? request.time - start : Int64(min(time, Double(ArrivalTimes.end))),
        prompt: request.prompt, answer: request.answer)
    }
    guard taken > 0 else {
      throw TraceError(
        trace.path, "no request lies between start and end",
        hint: "the trace goes from 0s to \(YAMLDuration.text(.nanoseconds(last)))")
    }
    return nil
  }

  private static func nextLine(_ lines: TraceLines) throws(TraceError) -> Bool {
    while try lines.next() {
      if lines.bytes.contains(where: { $0 != TraceRow.blank }) { return true }
    }
    return false
  }

  // MARK: A line

  /// The current line's, with its time from the trace's start.
  private func request() throws(TraceError) -> (time: Int64, prompt: Int, answer: Int) {
    let row: TraceRow
    do throws(TraceRow.Problem) {
      switch format {
      case .table(let table): row = try table.row(lines.bytes)
      case .objects: row = try TraceObject.row(lines.bytes)
      }
    } catch {
      throw Self.error(error, trace, lines)
    }
    let time = try arrival(row)
    if time < 0, case .relative = origin {
      throw wrong(row, .arrival, "is negative", hint: "times count from the start of the trace")
    }
    guard time >= last else {
      throw wrong(
        row, .arrival, "is before the arrival above it (\(YAMLDuration.text(.nanoseconds(last))))",
        hint: "sort the lines by arrival")
    }
    guard time < ArrivalTimes.end else {
      throw wrong(
        row, .arrival, "is more than ten years after the start", hint: "subtract the first one from all")
    }
    last = time
    rows += 1
    return (time, try tokens(row, .prompt), try tokens(row, .answer))
  }

  private func arrival(_ row: TraceRow) throws(TraceError) -> Int64 {
    let bytes = lines.bytes[row[.arrival]]
    if case .objects = format {
      guard let time = TraceValue.scaled(bytes, nanosecondsPerUnit: 1_000_000) else {
        throw wrong(row, .arrival, "is no time in milliseconds")
      }
      origin = .relative
      return time
    }
    let relative =
      TraceValue.scaled(bytes, nanosecondsPerUnit: 1_000_000_000) ?? TraceValue.duration(bytes)
    let clock = relative == nil ? TraceValue.clock(bytes) : nil
    switch (origin, relative, clock) {
    case (nil, let time?, _):
      origin = .relative
      return time
    case (nil, _, let time?):
      origin = .clock(time)
      return 0
    case (.relative, let time?, _): return time
    case (.clock(let first), _, let time?): return time - first
    case (.some, let relative, let clock) where relative != nil || clock != nil:
      throw wrong(row, .arrival, "is not written as the arrivals above it", hint: "use one kind of time")
    default:
      throw wrong(
        row, .arrival, "is no time",
        hint: "seconds (12.5), a duration (12.5s) or a clock's reading (2023-11-16 18:17:03.979)")
    }
  }

  private func tokens(_ row: TraceRow, _ column: TraceRow.Column) throws(TraceError) -> Int {
    guard let count = TraceValue.whole(lines.bytes[row[column]]), TokenLength.limits.contains(count) else {
      throw wrong(
        row, column, "is no number of tokens from 1 to \(TokenLength.limits.upperBound)",
        hint: "remove requests that failed, or got no answer")
    }
    return count
  }

  // MARK: Errors

  private func wrong(
    _ row: TraceRow, _ column: TraceRow.Column, _ message: String, hint: String? = nil
  ) -> TraceError {
    let value = String(decoding: lines.bytes[row[column]], as: UTF8.self).shown
    return TraceError(
      trace.path, line: lines.number, column: row[column].lowerBound + 1, "\(column) \(value) \(message)",
      hint: hint)
  }

  private static func error(
    _ problem: TraceRow.Problem, _ trace: RequestTrace, _ lines: TraceLines
  ) -> TraceError {
    TraceError(
      trace.path, line: lines.number, column: problem.index.map { $0 + 1 }, problem.message,
      hint: problem.hint)
  }
}
