import ArgumentParser

/// A value of the command line that explains what is wrong with a text it cannot be read from.
///
/// Declare options with `transform: Value.init(parsing:)`: the conformance to `ExpressibleByArgument` alone
/// could only say that the value is invalid.
package protocol TextArgument: ExpressibleByArgument, Sendable {
  /// - Throws: `ArgumentProblem`, whose sentence says what is wrong and what would be right.
  init(parsing text: String) throws
}

/// One that a minus sign may begin, by mistake: it has an error of its own for that.
package protocol QuantityArgument: TextArgument {}

extension TextArgument {
  package init?(argument: String) {
    guard let value = try? Self(parsing: argument) else { return nil }
    self = value
  }
}

/// What is wrong with a value, as one sentence.
package struct ArgumentProblem: Error, CustomStringConvertible {
  package var description: String
  package init(_ description: String) { self.description = description }
}
