import ArgumentParser
import Console
import Serving
import SpeculationCore
import Spelling

/// A policy as `LocalDraftPolicy.forms` has it: `entropy:1.0`.
struct LocalPolicyArgument: TextArgument, CustomStringConvertible {
  var policy: LocalDraftPolicy

  /// "never, always, entropy:NATS or value:TIME".
  static var choices: String { LocalDraftPolicy.forms.map(\.notation).listed(before: "or") }

  init(_ policy: LocalDraftPolicy) { self.policy = policy }

  init(parsing text: String) throws {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let form = LocalDraftPolicy.forms.first { $0.name == parts[0] }
    switch (form?.kind, parts.count == 2 ? parts[1] : nil) {
    case (.plain(let policy), nil): self.policy = policy
    case (.time(let make), let time?): policy = make(try DurationArgument(parsing: time).duration)
    case (.nats(let make), let nats?):
      guard let nats = Float(nats), nats.isFinite, nats >= 0 else { throw Self.problem(text) }
      policy = make(nats)
    default: throw Self.problem(text)
    }
  }

  private static func problem(_ text: String) -> ArgumentProblem {
    ArgumentProblem("\"\(text)\" is not a policy; write \(choices), such as entropy:1.0 or value:5ms")
  }

  var description: String {
    let parts = policy.parts
    return switch parts.amount {
    case .none: parts.name
    case .nats(let nats): "\(parts.name):\(nats)"
    case .time(let time): "\(parts.name):\(DurationArgument(nanoseconds: time.wholeNanoseconds).text)"
    }
  }
}
