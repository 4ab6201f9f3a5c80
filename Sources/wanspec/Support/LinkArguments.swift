import ArgumentParser
import Console
import WideArea

/// Jitter on the command line: "lognormal:2ms,0.5".
struct JitterArgument: TextArgument {
  var distribution: JitterDistribution

  init(parsing text: String) throws {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    let values = parts.count == 2 ? parts[1].split(separator: ",").map(String.init) : []
    func expect(_ count: Int, _ example: String) throws {
      guard values.count == count else {
        throw ArgumentProblem("\(parts[0]) jitter is written as \(example), not \"\(text)\"")
      }
    }
    func milliseconds(_ index: Int) throws -> Double {
      try DurationArgument(parsing: values[index]).milliseconds
    }
    func number(_ index: Int) throws -> Double {
      guard let value = Double(values[index]) else {
        throw ArgumentProblem("\"\(values[index])\" in \"\(text)\" is not a number")
      }
      return value
    }
    switch parts[0] {
    case "none":
      try expect(0, "none")
      distribution = .none
    case "uniform":
      try expect(1, "uniform:MAXIMUM, such as uniform:5ms")
      distribution = .uniform(maximum: try milliseconds(0))
    case "normal":
      try expect(2, "normal:MEAN,DEVIATION, such as normal:3ms,1ms")
      distribution = .normal(mean: try milliseconds(0), deviation: try milliseconds(1))
    case "lognormal":
      try expect(2, "lognormal:MEDIAN,SIGMA, such as lognormal:2ms,0.5")
      distribution = .lognormal(median: try milliseconds(0), sigma: try number(1))
    case "pareto":
      try expect(2, "pareto:SCALE,SHAPE, such as pareto:1ms,2.5")
      distribution = .pareto(scale: try milliseconds(0), shape: try number(1))
    default:
      throw ArgumentProblem(
        "\"\(parts[0])\" is not a jitter distribution; there are none, uniform, normal, lognormal and pareto")
    }
    if let problem = distribution.problem { throw ArgumentProblem(problem) }
  }
}

/// A loss probability as a percentage: "0.1%".
struct LossArgument: QuantityArgument {
  /// 0...1.
  var probability: Double

  init(parsing text: String) throws {
    probability = try Percentage(parsing: text).share
    if probability > 0.5 { throw ArgumentProblem("loss must be between 0% and 50%, not \(text)") }
  }
}

/// An outage: START+DURATION, then /EVERY if it repeats, then :reset if it kills connections.
struct OutageArgument: TextArgument {
  var outage: Outage

  init(parsing text: String) throws {
    var rest = Substring(text)
    let resets = rest.hasSuffix(":reset")
    if resets { rest = rest.dropLast(":reset".count) }
    let halves = rest.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    let span = halves[0].split(separator: "+", maxSplits: 1, omittingEmptySubsequences: false)
    guard span.count == 2 else {
      throw ArgumentProblem(
        "\"\(text)\" is not an outage; write START+DURATION, such as 5s+2s, then /30s to repeat it every 30 s, "
          + "then :reset to kill connections")
    }
    outage = Outage(
      startMilliseconds: try DurationArgument(parsing: String(span[0])).milliseconds,
      durationMilliseconds: try DurationArgument(parsing: String(span[1])).milliseconds,
      everyMilliseconds: try halves.count == 2
        ? DurationArgument(parsing: String(halves[1])).milliseconds : nil,
      resets: resets)
    if let problem = outage.problem { throw ArgumentProblem(problem) }
  }
}
