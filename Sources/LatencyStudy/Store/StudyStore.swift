import Foundation
import GRDB
import StrictYAML

/// A study's file: one SQLite database with one row for each probe.
///
/// In WAL mode, with every commit on the disk before it counts: whatever ends the process or the machine, what was
/// acknowledged is there. One process writes at a time; others may read.
public final class StudyStore: Sendable {
  public let path: String
  public let campaign: Campaign
  /// What to call the regions that made the data; nil for measured data.
  public let emulated: String?
  let database: DatabasePool

  /// - Throws: `StoreError`
  public static func open(_ path: String) throws -> StudyStore {
    guard FileManager.default.fileExists(atPath: path) else {
      throw StoreError(.missing, path, "there is no such file", hint: "`wanspec study run` makes one")
    }
    do {
      let pool = try pool(path)
      try check(pool, path: path)
      try StoreSchema.migrator.migrate(pool)
      return try StudyStore(path: path, pool)
    } catch {
      throw StoreError(error, path: path)
    }
  }

  /// Makes a store, or opens the one that is there if it is of the same campaign.
  ///
  /// - Parameter emulated: the name of the emulated regions
  public static func create(_ path: String, campaign: Campaign, emulated: String?) throws -> StudyStore {
    do {
      let pool = try pool(path)
      try check(pool, path: path)
      try StoreSchema.migrator.migrate(pool)
      try pool.write { database in
        try database.execute(
          sql: "INSERT OR IGNORE INTO campaign VALUES (1, ?, ?, ?)",
          arguments: [campaign.text, campaign.fingerprint, emulated])
        for target in campaign.targets {
          try database.execute(
            sql: "INSERT OR IGNORE INTO target (name) VALUES (?)", arguments: [target.name])
        }
      }
      let store = try StudyStore(path: path, pool)
      guard store.campaign.fingerprint == campaign.fingerprint else {
        throw StoreError(
          .otherCampaign, path,
          "holds another campaign (\(store.campaign.name), \(store.campaign.fingerprint); "
            + "this one is \(campaign.name), \(campaign.fingerprint))",
          hint: "name another file with --store, or continue the other campaign: wanspec study resume \(path)"
        )
      }
      guard store.emulated == emulated else {
        throw StoreError(.otherCampaign, path, "measured and emulated data do not go into one file")
      }
      return store
    } catch {
      throw StoreError(error, path: path)
    }
  }

  private static func pool(_ path: String) throws -> DatabasePool {
    var configuration = Configuration()
    configuration.busyMode = .timeout(10)
    configuration.foreignKeysEnabled = true
    configuration.prepareDatabase { database in
      // Every commit survives a loss of power, not only the end of the process.
      try database.execute(sql: "PRAGMA synchronous = FULL")
    }
    return try DatabasePool(path: path, configuration: configuration)
  }

  /// Refuses files that somebody else made, or a newer wanspec.
  private static func check(_ pool: DatabasePool, path: String) throws {
    try pool.read { database in
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
    }
  }

  private init(path: String, _ pool: DatabasePool) throws {
    self.path = path
    database = pool
    let row = try pool.read { try Row.fetchOne($0, sql: "SELECT text, emulated FROM campaign") }
    guard let row else {
      throw StoreError(.notAStore, path, "has no campaign: its making was cut short", hint: "remove it")
    }
    do {
      campaign = try Campaign(try YAMLDocument(parsing: row["text"], name: path))
    } catch {
      throw StoreError(.damaged, path, "its campaign cannot be read: \(error.message)")
    }
    emulated = row["emulated"]
  }

  // MARK: Writing

  /// What one process writes: a source's probes.
  public struct Writer: Sendable {
    public let slots: Range<Int>
    fileprivate let source: Int64
    fileprivate let run: Int64
    fileprivate let targets: [String: Int64]
  }

  /// - Parameters:
  ///   - firstSlot: where the source begins if it has not begun yet
  ///   - started: ns since 1970, campaign time
  public func begin(
    source: String, firstSlot: Int, started: Int64, version: String, host: String, clockAge: Double?,
    acceleration: Double
  ) throws -> Writer {
    do {
      return try database.write { [campaign] database in
        try database.execute(
          sql: "INSERT OR IGNORE INTO source (name, begin_slot, end_slot) VALUES (?, ?, ?)",
          arguments: [source, firstSlot, firstSlot + campaign.slots])
        let row = try Row.fetchOne(database, sql: "SELECT * FROM source WHERE name = ?", arguments: [source])
        guard let row else { throw StoreError(.damaged, "", "the source was not stored") }
        let id: Int64 = row["id"]
        try database.execute(
          sql: """
            INSERT INTO run (uuid, source_id, started, version, host, prompt_hash, clock_age, acceleration)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            """,
          arguments: [
            UUID().uuidString, id, started, version, host, campaign.prompt.text.fingerprint, clockAge,
            acceleration,
          ])
        let run = database.lastInsertedRowID
        var targets: [String: Int64] = [:]
        for row in try Row.fetchAll(database, sql: "SELECT id, name FROM target") {
          targets[row["name"]] = row["id"]
        }
        let begin: Int = row["begin_slot"]
        return Writer(slots: begin..<row["end_slot"], source: id, run: run, targets: targets)
      }
    } catch {
      throw StoreError(error, path: path)
    }
  }

  /// Stores probes, all or none. A probe that is there already stays as it is; one that was missed gives way to one that
  /// was sent.
  ///
  /// Returns when they are on the disk.
  public func add(_ records: [ProbeRecord], _ writer: Writer) async throws {
    do {
      try await database.write { database in
        for record in records { try Self.insert(record, writer, database) }
      }
    } catch {
      throw StoreError(error, path: path)
    }
  }

  private static let insertion = """
    INSERT OR IGNORE INTO probe (
      source_id, target_id, slot, ordinal, run_id, scheduled, started, outcome, detail,
      \(StoreSchema.phases.joined(separator: ", ")),
      total, status, peer, tls_version, tcp_rtt, tcp_min_rtt, request_id, finish_reason, input_tokens, output_tokens,
      server_first_byte, chunk_count, usd
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    """

  private static func insert(_ record: ProbeRecord, _ writer: Writer, _ database: Database) throws {
    guard let target = writer.targets[record.key.target] else {
      throw StoreError(.failed, "", "no target \"\(record.key.target)\" in this store")
    }
    let key: [any DatabaseValueConvertible] = [writer.source, target, record.key.slot, record.key.ordinal]
    if record.outcome != .missed {
      try database.cachedStatement(
        sql: """
          DELETE FROM probe
          WHERE source_id = ? AND target_id = ? AND slot = ? AND ordinal = ? AND outcome = 'missed'
          """
      ).execute(arguments: StatementArguments(key))
    }
    var values: [(any DatabaseValueConvertible)?] = key
    values += [writer.run, record.scheduled, record.started, record.outcome.rawValue, record.detail]
    values += (0..<Phase.allCases.count).map { record.phases?.durations[$0] }
    values += [
      record.total, record.status, record.peer, record.tlsVersion, record.tcpRTT, record.tcpMinRTT,
      record.requestID,
      record.finishReason, record.inputTokens, record.outputTokens, record.serverFirstByte,
      record.chunks.count,
      record.usd,
    ]
    try database.cachedStatement(sql: insertion).execute(arguments: StatementArguments(values))
    guard database.changesCount > 0, !record.chunks.isEmpty else { return }
    try database.cachedStatement(sql: "INSERT INTO chunks VALUES (?, ?)")
      .execute(arguments: [database.lastInsertedRowID, Data(ChunkCodec.encoded(record.chunks))])
  }

  /// Writes everything into the one file, so that it can be copied.
  public func finish() throws {
    do { try database.writeWithoutTransaction { _ = try $0.checkpoint(.truncate) } } catch {
      throw StoreError(error, path: path)
    }
  }

  public func close() { try? database.close() }
}
