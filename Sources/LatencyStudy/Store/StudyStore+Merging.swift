import Foundation
import GRDB

extension StudyStore {
  /// What a merge did.
  public struct Merged: Sendable, Equatable {
    public var added = 0
    /// Probes that were there already.
    public var known = 0

    public init(added: Int = 0, known: Int = 0) {
      self.added = added
      self.known = known
    }
  }

  /// Brings files of one campaign together, all of them or none: a new file appears when it is complete, and one that is
  /// there already changes in one transaction. Cancelling the task ends it; then nothing was taken either.
  ///
  /// - Parameters:
  ///   - path: made, or added to
  /// - Returns: what each file brought, in order, and whether all is in the one file (see `close`)
  /// - Throws: `StoreError`; `CancellationError`
  @discardableResult
  public static func merge(
    _ paths: [String], into path: String
  ) async throws -> (files: [Merged], isWhole: Bool) {
    let path = LinkTarget.path(of: path)
    let lock = try StoreLock(path)
    defer { withExtendedLifetime(lock) {} }
    let existing = try isThere(path) ? open(path) : nil
    defer { existing?.close() }
    let staging = path + ".merging-\(UUID().uuidString)"
    defer { for end in ["", "-wal", "-shm", "-journal"] { unlink(staging + end) } }
    do {
      let (all, files) = try await merged(paths, after: existing, in: staging)
      defer { all.close() }
      try Task.checkCancellation()
      if let existing {
        _ = try existing.merge(all)
        return (files, existing.close())
      }
      guard all.close(), rename(staging, path) == 0 else {
        throw StoreError(.failed, path, "cannot be written: \(String(cString: strerror(errno)))")
      }
      return (files, true)
    } catch var error as StoreError where error.path == staging {
      error.path = path
      throw error
    }
  }

  /// All of them in a file of their own.
  private static func merged(
    _ paths: [String], after existing: StudyStore?, in staging: String
  ) async throws -> (StudyStore, [Merged]) {
    try existing?.copy(to: staging)
    var files: [Merged] = []
    var first = existing
    var all = try existing.map { _ in try open(staging) }
    for path in paths {
      try Task.checkCancellation()
      let other = try open(path)
      defer { other.close() }
      try first?.requireSameCampaign(other)
      first = first ?? other
      let store = try all ?? create(staging, campaign: other.campaign, emulated: other.emulated)
      all = store
      files.append(try await store.interruptible { try store.merge(other) })
    }
    guard let all else { throw StoreError(.missing, staging, "there is nothing to merge") }
    return (all, files)
  }

  /// Whether there is a file to add to.
  ///
  /// - Throws: where one is gone whose second file is still there. SQLite would take that for the new file's.
  private static func isThere(_ path: String) throws -> Bool {
    var found = stat()
    if stat(path, &found) == 0 {
      guard found.st_mode & S_IFMT == S_IFREG else {
        throw StoreError(.notAStore, path, "is no regular file", hint: "name another file")
      }
      // SQLite makes a new one of an empty file.
      if found.st_size > 0 { return true }
    }
    guard !FileManager.default.fileExists(atPath: path + "-wal") else {
      throw StoreError(
        .failed, path, "is not there, but \(path)-wal is, which may hold what it lacks",
        hint: "bring the two together again, or name another file")
    }
    return false
  }

  private func copy(to path: String) throws {
    do {
      try database.writeWithoutTransaction { try $0.execute(sql: "VACUUM INTO ?", arguments: [path]) }
    } catch {
      throw StoreError(error, path: path)
    }
  }

  /// Runs `body` so that cancelling the task ends its statements.
  private func interruptible<T>(_ body: () throws -> T) async throws -> T {
    try await withTaskCancellationHandler {
      do { return try body() } catch {
        try Task.checkCancellation()
        throw error
      }
    } onCancel: {
      database.interrupt()
    }
  }

  /// Takes in the probes of another file of the same campaign. Those that are there already stay, but one that was missed
  /// gives way to one that was sent.
  ///
  /// - Throws: `StoreError`; then nothing was taken
  public func merge(_ other: StudyStore) throws -> Merged {
    try requireSameCampaign(other)
    do {
      return try database.writeWithoutTransaction { database in
        try database.execute(sql: "ATTACH DATABASE ? AS other", arguments: [other.location])
        defer { try? database.execute(sql: "DETACH DATABASE other") }
        var merged = Merged()
        try database.inTransaction(.immediate) {
          merged = try Self.copy(database)
          return .commit
        }
        return merged
      }
    } catch {
      let isDamaged = (error as? DatabaseError)?.resultCode == .SQLITE_CORRUPT
      throw StoreError(error, path: isDamaged ? other.path : path)
    }
  }

  private func requireSameCampaign(_ other: StudyStore) throws {
    guard other.campaign.fingerprint == campaign.fingerprint else {
      throw StoreError(
        .otherCampaign, other.path,
        "holds another campaign (\(other.campaign.name), \(other.campaign.fingerprint)) than \(path) "
          + "(\(campaign.name), \(campaign.fingerprint))",
        hint: "merge files of one campaign: same targets, prompt, interval and sources")
    }
    guard other.emulated == emulated else { throw StoreError(mixing: other.path) }
  }

  private static func copy(_ database: Database) throws -> Merged {
    try database.execute(
      sql: """
        INSERT INTO main.source (name, begin_slot, end_slot) SELECT name, begin_slot, end_slot FROM other.source WHERE true
        ON CONFLICT (name) DO UPDATE SET
          begin_slot = min(begin_slot, excluded.begin_slot), end_slot = max(end_slot, excluded.end_slot);
        INSERT OR IGNORE INTO main.target (name) SELECT name FROM other.target;
        INSERT OR IGNORE INTO main.run (uuid, source_id, started, version, host, prompt_hash, clock_age, acceleration)
          SELECT uuid, mine.id, started, version, host, prompt_hash, clock_age, acceleration
          FROM other.run JOIN other.source theirs ON theirs.id = source_id JOIN main.source mine USING (name);
        -- Ids of the other file and of this one.
        CREATE TEMP TABLE sources AS SELECT o.id theirs, m.id mine FROM other.source o JOIN main.source m USING (name);
        CREATE TEMP TABLE targets AS SELECT o.id theirs, m.id mine FROM other.target o JOIN main.target m USING (name);
        CREATE TEMP TABLE runs AS SELECT o.id theirs, m.id mine FROM other.run o JOIN main.run m USING (uuid);
        DELETE FROM main.probe WHERE outcome = 'missed' AND EXISTS (
          SELECT 1 FROM other.probe o JOIN temp.sources s ON s.theirs = o.source_id
            JOIN temp.targets t ON t.theirs = o.target_id
          WHERE s.mine = probe.source_id AND t.mine = probe.target_id AND o.slot = probe.slot
            AND o.ordinal = probe.ordinal AND o.outcome <> 'missed');
        """)
    let columns = try database.columns(in: "probe", in: "main").map(\.name)
      .filter { !["id", "source_id", "target_id", "run_id"].contains($0) }
      .map { "\"\($0)\"" }.joined(separator: ", ")
    let before = try Int64.fetchOne(database, sql: "SELECT coalesce(max(id), 0) FROM main.probe") ?? 0
    try database.execute(
      sql: """
        INSERT OR IGNORE INTO main.probe (source_id, target_id, run_id, \(columns))
        SELECT s.mine, t.mine, r.mine, \(columns) FROM other.probe o
          JOIN temp.sources s ON s.theirs = o.source_id JOIN temp.targets t ON t.theirs = o.target_id
          JOIN temp.runs r ON r.theirs = o.run_id
        ORDER BY o.id
        """)
    let added = database.changesCount
    try database.execute(
      sql: """
        INSERT INTO main.chunks
        SELECT m.id, c.data FROM main.probe m
          JOIN temp.sources s ON s.mine = m.source_id JOIN temp.targets t ON t.mine = m.target_id
          JOIN other.probe o ON o.source_id = s.theirs AND o.target_id = t.theirs AND o.slot = m.slot
            AND o.ordinal = m.ordinal
          JOIN other.chunks c ON c.probe_id = o.id
        WHERE m.id > ?
        """, arguments: [before])
    let all = try Int.fetchOne(database, sql: "SELECT count(*) FROM other.probe") ?? 0
    try database.execute(sql: "DROP TABLE temp.sources; DROP TABLE temp.targets; DROP TABLE temp.runs")
    return Merged(added: added, known: all - added)
  }
}
