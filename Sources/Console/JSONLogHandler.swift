import Foundation
import Logging

/// One JSON object a line on standard error.
package struct JSONLogHandler: LogHandler {
  package let label: String
  package var logLevel: Logger.Level = .info
  package var metadata: Logger.Metadata = [:]
  package var metadataProvider: Logger.MetadataProvider?

  package init(label: String) { self.label = label }

  package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  package func log(event: LogEvent) {
    var object: [String: any Sendable] = [:]
    let all = metadata.merging(metadataProvider?.get() ?? [:]) { own, _ in own }
      .merging(event.metadata ?? [:]) { _, new in new }
    for (key, value) in all { object[key] = Self.value(value) }
    object["time"] = Date().ISO8601Format(.iso8601(timeZone: .gmt, includingFractionalSeconds: true))
    object["level"] = event.level.rawValue
    object["logger"] = label
    object["message"] = event.message.description
    StandardError.write(String(decoding: JSONLine.data(object), as: UTF8.self))
  }

  private static func value(_ value: Logger.MetadataValue) -> any Sendable {
    switch value {
    case .string(let text): text
    case .stringConvertible(let value): value.description
    case .array(let values): values.map { Self.value($0) as? String ?? "\($0)" }
    case .dictionary(let values): values.mapValues { Self.value($0) as? String ?? "\($0)" }
    }
  }
}
