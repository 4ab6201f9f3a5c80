import ArgumentParser

package enum Interrupted {
  /// 128 + SIGINT, as shells have it.
  package static let exitCode = ExitCode(130)
}

/// Runs `body`; on SIGINT or SIGTERM cancels it, waits for it to clean up, and ends with the shell's code.
package func orInterrupted<Result: Sendable>(
  _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
  TerminationSignals.install()
  return try await withThrowingTaskGroup(of: Result?.self) { group in
    group.addTask { try await body() }
    group.addTask {
      await TerminationSignals.first()
      return nil
    }
    defer { group.cancelAll() }
    guard let result = try await group.next()! else {
      group.cancelAll()
      // The other task ends what it started before it returns.
      while let _ = await group.nextResult() {}
      throw Interrupted.exitCode
    }
    return result
  }
}
