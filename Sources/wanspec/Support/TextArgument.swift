import ArgumentParser

/// A value of the command line that explains what is wrong with a text it cannot be read from.
///
/// Declare options with `transform: Value.init(parsing:)`: the conformance to `ExpressibleByArgument` alone
/// could only say that the value is invalid.
protocol TextArgument: ExpressibleByArgument, Sendable {
  /// - Throws: `ArgumentProblem`, whose sentence says what is wrong and what would be right.
  init(parsing text: String) throws
}

extension TextArgument {
  init?(argument: String) {
    guard let value = try? Self(parsing: argument) else { return nil }
    self = value
  }
}

/// What is wrong with a value, as one sentence.
struct ArgumentProblem: Error, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}
