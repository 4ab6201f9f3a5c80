import ArgumentParser

/// Ends a command with one line on standard error and exit code 1.
struct CommandFailure: Error, CustomStringConvertible {
  var description: String
  init(_ message: String, hint: String? = nil) {
    description = hint.map { "\(message)\n  hint: \($0)" } ?? message
  }
}
