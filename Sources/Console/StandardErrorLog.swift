import Logging

extension Logger {
  /// Warnings and notices of a command on standard error.
  package static var standardError: Logger { standardError(json: false) }

  /// - Parameter json: one object a line, for programs
  package static func standardError(json: Bool) -> Logger {
    Logger(label: "wanspec") { label -> any LogHandler in
      if json { return JSONLogHandler(label: label) }
      return VisibleLogHandler(StreamLogHandler.standardError(label: label))
    }
  }
}
