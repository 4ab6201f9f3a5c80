import Foundation
import GRDB
import StudyAnalysis

extension StudyStore {
  /// How far a source has come.
  public struct Progress: Sendable, Equatable {
    /// Slots that are complete: those with a row for each target.
    public var stored: Set<ProbeSlot> = []
    /// Those of them of which nothing was sent.
    public var missed: Set<ProbeSlot> = []
    /// Requests that went out, and what they cost.
    public var sent = 0
    public var usd = 0.0

    public init() {}
  }

  public struct ProbeSlot: Sendable, Hashable {
    public var target: String
    public var slot: Int

    public init(target: String, slot: Int) {
      self.target = target
      self.slot = slot
    }
  }

  public func progress(source: String) throws -> Progress {
    do {
      return try database.read { database in
        var progress = Progress()
        let rows = try Row.fetchCursor(
          database,
          sql: """
            SELECT target.name, slot, outcome = 'missed' FROM probe
            JOIN target ON target.id = target_id JOIN source ON source.id = source_id
            WHERE source.name = ? AND ordinal = 0
            """, arguments: [source])
        while let row = try rows.next() {
          let slot = ProbeSlot(target: row[0], slot: row[1])
          progress.stored.insert(slot)
          if row[2] { progress.missed.insert(slot) }
        }
        let sums = try Row.fetchOne(
          database,
          sql: """
            SELECT count(*), total(usd) FROM probe JOIN source ON source.id = source_id
            WHERE source.name = ? AND \(Self.wasSent)
            """, arguments: [source])
        progress.sent = sums?[0] ?? 0
        progress.usd = sums?[1] ?? 0
        return progress
      }
    } catch {
      throw StoreError(error, path: path)
    }
  }

  /// Names of the sources that have begun, in the campaign's order.
  public func sources() throws -> [String] {
    do {
      let names = try database.read { try String.fetchSet($0, sql: "SELECT name FROM source") }
      return campaign.sources.map(\.name).filter(names.contains)
    } catch {
      throw StoreError(error, path: path)
    }
  }

  /// Of a probe, in SQL.
  private static let wasSent = """
    outcome NOT IN (\(ProbeOutcome.allCases.filter { !$0.wasSent }.map { "'\($0.rawValue)'" }.joined(separator: ", ")))
    """

  /// Opens a file for its data alone.
  public static func data(in path: String) throws -> StudyData {
    let store = try open(path)
    defer { store.close() }
    return try store.data()
  }

  /// All that an analysis needs, in one pass over the probes.
  public func data() throws -> StudyData {
    do { return try database.read { try read($0) } } catch { throw StoreError(error, path: path) }
  }

  private func read(_ database: Database) throws -> StudyData {
    let bounds = try Row.fetchOne(database, sql: "SELECT min(begin_slot), max(end_slot) FROM source")
    let begin: Int? = bounds?[0]
    // A campaign that goes on has come this far.
    let last = try Int.fetchOne(database, sql: "SELECT max(slot) FROM probe")
    let end = (bounds?[1] as Int?).map { min($0, (last ?? $0) + 1) }
    guard let begin, let end else {
      throw StoreError(.failed, path, "no source has begun: there is nothing to read")
    }
    var data = StudyData(
      name: campaign.name, fingerprint: campaign.fingerprint, slotLength: campaign.every.inSeconds,
      slots: begin..<end,
      emulated: emulated, timeout: campaign.timeout.inSeconds, sources: campaign.sources.map(\.region),
      targets: campaign.targets.map { StudyData.Target(name: $0.name, region: $0.region) })
    data.clockAge = try Double.fetchOne(
      database,
      sql: "SELECT max(clock_age) FROM run WHERE NOT EXISTS (SELECT 1 FROM run WHERE clock_age IS NULL)")
    let sums = try Row.fetchOne(
      database,
      sql: """
        SELECT count(*), total(usd), count(CASE WHEN output_tokens >= 4 AND chunk_count * 2 < output_tokens THEN 1 END)
        FROM probe WHERE \(Self.wasSent)
        """)
    data.sent = sums?[0] ?? 0
    data.usd = sums?[1] ?? 0
    data.bursts = sums?[2] ?? 0
    try readProbes(database, into: &data)
    try readExclusions(database, into: &data)
    return data
  }

  private func readProbes(_ database: Database, into data: inout StudyData) throws {
    let sources = try indexes(database, "source", campaign.sources.map(\.name))
    let targets = try indexes(database, "target", campaign.targets.map(\.name))
    var columns = [[(slot: Int, probe: StudyData.Probe)]](repeating: [], count: sources.count * targets.count)
    let rows = try Row.fetchCursor(
      database,
      sql: """
        SELECT source_id, target_id, slot, outcome, \(StoreSchema.phases.joined(separator: ", ")), tcp_rtt, tcp_min_rtt,
          output_tokens, server_first_byte, chunk_count
        FROM probe WHERE ordinal = 0 AND outcome <> 'missed'
        """)
    while let row = try rows.next() {
      guard let source = sources.positions[row[0]], let target = targets.positions[row[1]],
        let outcome = ProbeOutcome(rawValue: row[3]), outcome != .credentials
      else { continue }
      columns[source * targets.count + target].append((row[2], Self.probe(row, outcome)))
    }
    for source in 0..<sources.count {
      for target in 0..<targets.count {
        let index = source * targets.count + target
        guard !columns[index].isEmpty else { continue }
        // Probes are stored as they end, and merged files follow one another.
        var list = columns[index]
        columns[index] = []
        list.sort { $0.slot < $1.slot }
        var pair = StudyData.Pair(source: source, target: target)
        for (slot, probe) in list { pair.append(slot: slot, probe) }
        data.pairs.append(pair)
      }
    }
  }

  private static func probe(_ row: Row, _ outcome: ProbeOutcome) -> StudyData.Probe {
    var probe = StudyData.Probe()
    let phases = Phases(durations: (4..<4 + Phase.allCases.count).map { row[$0] as Int64? })
    func seconds(_ nanoseconds: Int64?) -> Double { nanoseconds.map { Double($0) * 1e-9 } ?? .nan }
    probe.requestTTFT = seconds(phases.requestTTFT)
    probe.coldTTFT = seconds(phases.coldTTFT)
    if outcome.isCensored, phases[.firstContent] == nil {
      probe.requestTTFT = .infinity
      probe.coldTTFT = .infinity
    }
    probe.nameLookup = seconds(phases[.dns])
    probe.connect = seconds(phases[.connect])
    probe.handshake = seconds(phases[.tls])
    let next = 4 + Phase.allCases.count
    let roundTrip: Int? = row[next + 1] ?? row[next]
    probe.roundTrip = roundTrip.map { Double($0) * 1e-6 } ?? .nan
    let tokens: Int? = row[next + 2]
    if let time = ProbeRecord.timePerToken(
      span: phases[.lastContent], tokens: tokens, chunks: row[next + 4])
    {
      probe.timePerToken = time * 1e-9
    }
    let serverFirstByte: Double? = row[next + 3]
    probe.serverFirstByte = serverFirstByte.map { $0 * 1e-3 } ?? .nan
    return probe
  }

  /// Positions in the campaign's list of the ids in a table.
  private func indexes(
    _ database: Database, _ table: String, _ names: [String]
  ) throws -> (positions: [Int64: Int], count: Int) {
    var positions: [Int64: Int] = [:]
    for row in try Row.fetchAll(database, sql: "SELECT id, name FROM \(table)") {
      let name: String = row[1]
      positions[row[0]] = names.firstIndex(of: name)
    }
    return (positions, names.count)
  }

  private func readExclusions(_ database: Database, into data: inout StudyData) throws {
    let rows = try Row.fetchCursor(
      database,
      sql: """
        SELECT source.name, target.name, outcome, min(detail), count(*) FROM probe
        JOIN source ON source.id = source_id JOIN target ON target.id = target_id
        WHERE outcome <> 'ok' AND ordinal = 0
        -- Nothing tells missed probes apart but why.
        GROUP BY source_id, target_id, outcome, CASE WHEN outcome = 'missed' THEN detail END
        """)
    while let row = try rows.next() {
      let names: (String, String) = (row[0], row[1])
      guard let source = campaign.sources.firstIndex(where: { $0.name == names.0 }),
        let target = campaign.targets.firstIndex(where: { $0.name == names.1 })
      else { continue }
      let outcome: String = row[2]
      data.exclusions.append(
        StudyData.Exclusion(
          source: source, target: target, outcome: outcome, example: row[3], count: row[4],
          censored: ProbeOutcome(rawValue: outcome)?.isCensored ?? false))
    }
  }
}
