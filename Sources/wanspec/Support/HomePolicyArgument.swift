import ArgumentParser
import Console
import Serving
import SpeculationCore

/// `never`, `always`, `entropy:NATS` or `value:TIME`.
struct HomePolicyArgument: TextArgument, CustomStringConvertible {
  var policy: HomeDraftPolicy

  init(_ policy: HomeDraftPolicy) { self.policy = policy }

  init(parsing text: String) throws {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    if parts[0] == "value", parts.count == 2 {
      policy = .value(price: try DurationArgument(parsing: String(parts[1])).duration)
      return
    }
    switch (parts[0], parts.count == 2 ? Float(parts[1]) : nil) {
    case ("never", nil) where parts.count == 1: policy = .never
    case ("always", nil) where parts.count == 1: policy = .always
    case ("entropy", let threshold?) where threshold.isFinite && threshold >= 0:
      policy = .entropy(threshold: threshold)
    default:
      throw ArgumentProblem(
        "\"\(text)\" is not a policy; write never, always, entropy:NATS or value:TIME, such as entropy:1.0 or value:5ms"
      )
    }
  }

  var description: String {
    switch policy {
    case .never: "never"
    case .always: "always"
    case .entropy(let threshold): "entropy:\(threshold)"
    case .value(let price): "value:\(DurationArgument(nanoseconds: price.wholeNanoseconds).text)"
    }
  }
}
