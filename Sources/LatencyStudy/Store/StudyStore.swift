import Foundation
import GRDB
import StrictYAML

/// A study's file: one SQLite database with one row for each probe.
///
/// In WAL mode, with every commit on the disk before it counts: whatever ends the process or the machine, what was
/// acknowledged is there. One process writes at a time; others may read. Whoever closes the file last brings all of it
/// into the one file.
public final class StudyStore: Sendable {
  public let path: String
  public let campaign: Campaign
  /// What to call the regions that made the data; nil for measured data.
  public let emulated: String?
  /// One connection: SQLite brings the write-ahead log into the file when the last one that may write closes, and a
  /// pool closes those that only read after it.
  let database: DatabaseQueue
  /// How SQLite calls the file.
  let location: String

  /// - Throws: `StoreError`
  public static func open(_ path: String) throws -> StudyStore {
    guard FileManager.default.fileExists(atPath: path) else {
      throw StoreError(.missing, path, "there is no such file", hint: "`wanspec study run` makes one")
    }
    do {
      let location = location(path)
      let queue = try queue(location)
      guard try hasTables(queue, path: path) else { throw StoreError(withoutTables: path) }
      if try !queue.read(StoreSchema.migrator.hasCompletedMigrations) {
        try StoreSchema.migrator.migrate(queue)
      }
      return try StudyStore(path: path, queue, at: location)
    } catch {
      throw StoreError(error, path: path)
    }
  }

  /// Makes a store, or opens the one that is there if it is of the same campaign.
  ///
  /// - Parameter emulated: the name of the emulated regions
  /// - Throws: `StoreError`
  public static func create(_ path: String, campaign: Campaign, emulated: String?) throws -> StudyStore {
    do {
      let queue = try queue(path)
      _ = try hasTables(queue, path: path)
      _ = try queue.writeWithoutTransaction { try String.fetchOne($0, sql: "PRAGMA journal_mode = WAL") }
      try StoreSchema.migrator.migrate(queue)
      try queue.write { database in
        try database.execute(
          sql: "INSERT OR IGNORE INTO campaign VALUES (1, ?, ?, ?)",
          arguments: [campaign.text, campaign.fingerprint, emulated])
        for target in campaign.targets {
          try database.execute(
            sql: "INSERT OR IGNORE INTO target (name) VALUES (?)", arguments: [target.name])
        }
      }
      let store = try StudyStore(path: path, queue, at: path)
      guard store.campaign.fingerprint == campaign.fingerprint else {
        throw StoreError(
          .otherCampaign, path,
          "holds another campaign (\(store.campaign.name), \(store.campaign.fingerprint); "
            + "this one is \(campaign.name), \(campaign.fingerprint))",
          hint: "name another file with --store, or continue the other campaign: wanspec study resume \(path)"
        )
      }
      guard store.emulated == emulated else { throw StoreError(mixing: path) }
      return store
    } catch {
      throw StoreError(error, path: path)
    }
  }

  /// Where nothing can be written, SQLite reads a file that is whole if it is told that nobody writes.
  private static func location(_ path: String) -> String {
    guard access(path, W_OK) != 0, !FileManager.default.fileExists(atPath: secondFile(path)),
      let name = URL(filePath: path).path.addingPercentEncoding(withAllowedCharacters: .urlPathAllowed)
    else { return path }
    return "file://\(name)?immutable=1"
  }

  /// Where SQLite puts what is not in the file itself yet.
  private static func secondFile(_ path: String) -> String {
    LinkTarget.path(of: path) + "-wal"
  }

  private static func queue(_ path: String) throws -> DatabaseQueue {
    var configuration = Configuration()
    configuration.busyMode = .timeout(10)
    configuration.foreignKeysEnabled = true
    configuration.prepareDatabase { database in
      // Every commit survives a loss of power, not only the end of the process.
      try database.execute(sql: "PRAGMA synchronous = FULL")
    }
    return try DatabaseQueue(path: path, configuration: configuration)
  }

  /// Refuses files that somebody else made, or a newer wanspec, before anything in them changes.
  ///
  /// - Returns: false for a file without a table
  private static func hasTables(_ queue: DatabaseQueue, path: String) throws -> Bool {
    try queue.read { database in
      if try StoreSchema.migrator.hasBeenSuperseded(database) {
        throw StoreError(
          .newer, path, "was written by a newer wanspec", hint: "use that version, or a newer one, to read it"
        )
      }
      let tables =
        try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_master WHERE type = 'table'") ?? 0
      if try tables > 0 && !database.tableExists("grdb_migrations") {
        throw StoreError(.notAStore, path, "a database, but not a study's", hint: "name another file")
      }
      return tables > 0
    }
  }

  private init(path: String, _ queue: DatabaseQueue, at location: String) throws {
    self.path = path
    self.location = location
    database = queue
    let row = try queue.read { try Row.fetchOne($0, sql: "SELECT text, emulated FROM campaign") }
    guard let row else { throw StoreError(withoutCampaign: path) }
    do {
      campaign = try Campaign(try YAMLDocument(parsing: row["text"], name: path))
    } catch {
      throw StoreError(.damaged, path, "its campaign cannot be read: \(error.message)")
    }
    emulated = row["emulated"]
  }

  /// How SQLite keeps the file: its journal's mode, and how it waits for the disk (2: at each commit).
  package func durability() throws -> String {
    try database.read { database in
      let mode = try String.fetchOne(database, sql: "PRAGMA journal_mode") ?? ""
      return "\(mode) \(try Int.fetchOne(database, sql: "PRAGMA synchronous") ?? -1)"
    }
  }

  /// Closes the file; what was asked of it before is done first.
  ///
  /// - Returns: whether all is in the one file, so that it can be copied. Otherwise another process has it open, or the
  ///   disk is full, and the rest stays in the file of that name with "-wal" until somebody closes it last.
  @discardableResult
  public func close() -> Bool {
    try? database.close()
    return !FileManager.default.fileExists(atPath: Self.secondFile(path))
  }
}
