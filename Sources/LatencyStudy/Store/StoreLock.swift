import OutputFiles

/// Keeps two runs from sending the same probes: a lock beside the store, which the system releases when its holder ends
/// in whatever way; its file goes with it. Not on the store itself, whose own locks a second file descriptor of this
/// process would break.
public final class StoreLock: Sendable {
  private let lock: LockFile

  /// - Parameter path: of the store, or of a link to it
  /// - Throws: `StoreError` where another process runs on this store
  public init(_ path: String) throws {
    let held: LockFile?
    do { held = try LockFile(LinkTarget.path(of: path) + ".lock", waits: false) } catch {
      throw StoreError(.failed, path, "cannot be locked: \(error.message)", hint: error.hint)
    }
    guard let held else {
      throw StoreError(
        .busy, path, "another process runs on it", hint: "one run for each store; name another with --store")
    }
    lock = held
  }
}
