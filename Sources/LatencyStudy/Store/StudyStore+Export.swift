import Foundation
import GRDB

extension StudyStore {
  public enum ExportFormat: String, Sendable, CaseIterable {
    case csv
    /// An object for each probe, all with the same keys and each key with one type, so that columns can be made of them.
    case jsonl

    /// By the end of the file's name: JSON lines for .jsonl, .ndjson and .json, else CSV.
    public init(forFile path: String) {
      self = [".jsonl", ".ndjson", ".json"].contains { path.lowercased().hasSuffix($0) } ? .jsonl : .csv
    }
  }

  private static let exported = """
    SELECT source.name AS source, target.name AS target, slot, ordinal, scheduled, probe.started AS started, outcome,
      detail, dns AS dns_ns, connect AS connect_ns, tls AS tls_ns, written AS written_ns, headers AS headers_ns,
      first_event AS first_event_ns, first_content AS first_content_ns, last_content AS last_content_ns,
      "end" AS end_ns, total AS total_ns, status, peer, tls_version, tcp_rtt AS tcp_rtt_us,
      tcp_min_rtt AS tcp_min_rtt_us, request_id, finish_reason, input_tokens, output_tokens,
      server_first_byte AS server_first_byte_ms, usd, run.version AS version, run.clock_age AS clock_age_s,
      chunk_count, data
    FROM probe JOIN source ON source.id = probe.source_id JOIN target ON target.id = target_id
      JOIN run ON run.id = run_id LEFT JOIN chunks ON probe_id = probe.id
    ORDER BY probe.id
    """

  /// Writes all probes as lines. Chunks go into JSON only, as two lists.
  ///
  /// - Returns: how many
  @discardableResult
  public func export(_ format: ExportFormat, write: (String) throws -> Void) throws -> Int {
    do {
      return try database.read { database in
        let rows = try Row.fetchCursor(database, sql: Self.exported)
        let names = rows.columnNames.dropLast()
        if format == .csv { try write(names.joined(separator: ",") + "\n") }
        var count = 0
        while let row = try rows.next() {
          count += 1
          try write((format == .csv ? Self.csv(row, names) : try Self.json(row, names)) + "\n")
        }
        return count
      }
    } catch {
      throw error is DatabaseError ? StoreError(error, path: path) : error
    }
  }

  private static func csv(_ row: Row, _ names: ArraySlice<String>) -> String {
    names.indices.map { index in
      switch (row[index] as DatabaseValue).storage {
      case .null: ""
      case .int64(let value): "\(value)"
      case .double(let value): "\(value)"
      // RFC 4180.
      case .string(let text):
        text.contains { $0 == "," || $0 == "\"" || $0.isNewline }
          ? "\"\(text.replacing("\"", with: "\"\""))\"" : text
      case .blob: ""
      }
    }.joined(separator: ",")
  }

  private static func json(_ row: Row, _ names: ArraySlice<String>) throws -> String {
    var fields = names.indices.map { index in
      let value =
        switch (row[index] as DatabaseValue).storage {
        case .null, .blob: "null"
        case .int64(let value): "\(value)"
        case .double(let value): value.isFinite ? "\(value)" : "null"
        case .string(let text): quoted(text)
        }
      return "\(quoted(names[index])):\(value)"
    }
    let data: Data? = row[names.endIndex]
    let chunks = ChunkCodec.decoded(data ?? Data()) ?? []
    fields.append("\"chunk_times_ns\":[\(chunks.map { "\($0.time)" }.joined(separator: ","))]")
    fields.append("\"chunk_bytes\":[\(chunks.map { "\($0.bytes)" }.joined(separator: ","))]")
    return "{\(fields.joined(separator: ","))}"
  }

  private static func quoted(_ text: String) -> String {
    let data = try? JSONSerialization.data(
      withJSONObject: text, options: [.fragmentsAllowed, .withoutEscapingSlashes])
    return data.map { String(decoding: $0, as: UTF8.self) } ?? "null"
  }
}
