import Foundation
import GRDB

extension StudyStore {
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
}
