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

  /// A configuration file that says what holds, each line with where it came from. What is not set is shown, but
  /// commented out: there is no value that would mean the same.
  ///
  /// - Parameter autopilot: the setting that says whether the autopilot chooses what is not given
  package static func configurationFile(autopilot: Setting<Bool>) -> String {
    let records = all
    let usesAutopilot = records.first { $0.name == autopilot.name }?.text == "true"
    return records.map { record in
      let shown = record.text.map { "\(record.name): \(scalar($0))" } ?? "# \(record.name): not set"
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
