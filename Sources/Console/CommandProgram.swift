import ArgumentParser
import Foundation
import OutputFiles

/// A program of commands, from its arguments to its exit code.
package enum CommandProgram {
  /// As `main` of a command does, but that what others wrote in an error does not act on the terminal, and that errors of the
  /// system are sentences.
  ///
  /// - Parameter explaining: says more of an error of usage
  package static func run<Root: AsyncParsableCommand>(
    _ root: Root.Type, _ arguments: [String], explaining: (String) -> String = { $0 }
  ) async {
    do {
      var command = try await root.asyncParseAsRoot(arguments)
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
    } catch {
      end(root, error, explaining: explaining)
    }
  }

  package static func end<Root: AsyncParsableCommand>(
    _ root: Root.Type, _ error: any Error, explaining: (String) -> String = { $0 }
  ) -> Never {
    let error: any Error =
      SystemProblem.sentence(error).map { CommandFailure($0, hint: "check the path and its permissions") }
      ?? error
    let code = root.exitCode(for: error)
    let text = root.fullMessage(for: error)
    if !text.isEmpty {
      if code == .success {
        StandardOutput.write(text + "\n")
      } else {
        StandardError.write((code == .validationFailure ? explaining(text) : text) + "\n")
      }
    }
    exit(code.rawValue)
  }
}
