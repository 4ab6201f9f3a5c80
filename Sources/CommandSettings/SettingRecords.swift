import Synchronization

/// What this process has resolved, in the order in which it did: which keys a configuration file may have, and what
/// `--print-config` shows.
package enum SettingRecords {
  struct Record: Sendable {
    var name: String
    /// nil where nothing is given and nothing stands for it.
    var text: String?
    var source: SettingSource
    var isAutopilots: Bool
  }

  private static let records = Mutex<[Record]>([])

  static var all: [Record] { records.withLock { $0 } }

  static func note(_ record: Record) {
    records.withLock { records in
      if let index = records.firstIndex(where: { $0.name == record.name }) {
        records[index] = record
      } else {
        records.append(record)
      }
    }
  }

  /// An error of usage that names flags, with where the values really come from that no flag gave.
  package static func explaining(_ message: String) -> String {
    all.reduce(message) { message, record in
      let place: String
      switch record.source {
      case .flag, .fallback: return message
      case .environment(let variable): place = variable
      case .file(let line): place = "\(line): \(record.name)"
      }
      let flag = try? Regex("--\(record.name)(?![a-z-])")
      return flag.map { message.replacing($0, with: place) } ?? message
    }
  }

  /// A configuration file that says what holds, each line with where it came from. What is not set is shown, but
  /// commented out: to set it would mean something else, even to the value that holds.
  ///
  /// - Parameters:
  ///   - autopilot: the setting that says whether the autopilot chooses what is not given
  ///   - chosen: values that hold where nothing is given, by name
  package static func configurationFile(autopilot: Setting<Bool>, chosen: [String: String]) -> String {
    let records = all
    let usesAutopilot = records.first { $0.name == autopilot.name }?.text == "true"
    return records.map { record in
      let shown =
        record.text.map { "\(record.name): \(scalar($0))" }
        ?? "# \(record.name): \(chosen[record.name] ?? "not set")"
      let source =
        record.text == nil && record.isAutopilots && usesAutopilot ? "the autopilot" : record.source.words
      return shown + String(repeating: " ", count: max(1, 48 - shown.count)) + "# \(source)\n"
    }.joined()
  }

  private static func scalar(_ text: String) -> String {
    let isPlain = text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "._/-:".contains($0)) }
    return isPlain && !text.isEmpty && !text.hasPrefix("-") && !text.hasSuffix(":")
      ? text : "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
  }
}
