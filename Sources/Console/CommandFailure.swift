import ArgumentParser

/// Ends a command with one line on standard error and exit code 1.
package struct CommandFailure: Error, CustomStringConvertible {
  package var description: String
  package init(_ message: String, hint: String? = nil) {
    description = hint.map { "\(message)\n  hint: \($0)" } ?? message
  }
}
