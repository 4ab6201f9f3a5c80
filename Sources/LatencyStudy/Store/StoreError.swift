import GRDB

/// Why a store cannot be used, for people.
public struct StoreError: Error, CustomStringConvertible {
  public enum Code: Sendable {
    case missing, notAStore, newer, damaged, otherCampaign, otherSource, busy, diskFull, failed
  }

  public var code: Code
  public var path: String
  public var message: String
  public var hint: String?

  init(_ code: Code, _ path: String, _ message: String, hint: String? = nil) {
    self.code = code
    self.path = path
    self.message = message
    self.hint = hint
  }

  /// SQLite keeps what is new in a second file until somebody closes the first: whoever copied one has nothing.
  init(withoutTables path: String) {
    self.init(
      .notAStore, path, "holds no study: it is empty, or was copied without the \(path)-wal beside it",
      hint: "copy both again, or open it where it was made first: wanspec study report FILE")
  }

  init(withoutCampaign path: String) {
    self.init(
      .notAStore, path, "has no campaign: its making was cut short",
      hint: "go on with it: wanspec study run CAMPAIGN --store \(path)")
  }

  init(mixing path: String) {
    self.init(
      .otherCampaign, path, "measured and emulated data do not go into one file", hint: "name another file")
  }

  /// What SQLite said, in our words.
  init(_ error: any Error, path: String) {
    if let error = error as? StoreError {
      self = error
      return
    }
    guard let error = error as? DatabaseError else {
      self.init(.failed, path, "\(error)")
      return
    }
    switch error.resultCode {
    case .SQLITE_FULL:
      self.init(
        .diskFull, path, "the disk is full", hint: "make room, then give the same command again")
    case .SQLITE_NOTADB:
      self.init(.notAStore, path, "not a study's store", hint: "name a file that `wanspec study run` made")
    case .SQLITE_CORRUPT:
      self.init(.damaged, path, "the file is damaged: \(error.message ?? "")", hint: "restore a copy of it")
    case .SQLITE_CANTOPEN:
      self.init(
        .missing, path, "cannot be opened: \(error.message ?? "")",
        hint:
          "check the path and its permissions; a \(path)-wal beside it can only be read where it can be written"
      )
    case .SQLITE_BUSY, .SQLITE_LOCKED:
      self.init(.busy, path, "another process keeps it locked", hint: "wait for it, or end it")
    case .SQLITE_READONLY: self.init(.failed, path, "cannot be written: it is read-only")
    case .SQLITE_IOERR:
      // A quota, or a file system that is full, shows up as this too.
      self.init(
        .diskFull, path, "cannot be written: \(error.message ?? "I/O error")", hint: "is the disk full?")
    default: self.init(.failed, path, error.message ?? "\(error.resultCode)")
    }
  }

  public var description: String { "\(path): \(message)" + (hint.map { "\n  hint: \($0)" } ?? "") }
}
