import Logging

extension Logger {
  /// Warnings and notices of a command, for people, on standard error.
  package static var standardError: Logger {
    Logger(label: "wanspec") { label in StreamLogHandler.standardError(label: label) }
  }
}
