import Logging
import VisibleText

/// Passes events on with nothing in them that acts on a terminal or begins a line: names, reasons and models are what peers
/// say they are.
package struct VisibleLogHandler: LogHandler {
  private var next: any LogHandler

  package init(_ next: any LogHandler) { self.next = next }

  package var logLevel: Logger.Level {
    get { next.logLevel }
    set { next.logLevel = newValue }
  }
  package var metadata: Logger.Metadata {
    get { next.metadata }
    set { next.metadata = newValue.mapValues(Self.visible) }
  }
  package var metadataProvider: Logger.MetadataProvider? {
    get { next.metadataProvider }
    set { next.metadataProvider = newValue }
  }
  package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { next[metadataKey: key] }
    set { next[metadataKey: key] = newValue.map(Self.visible) }
  }

  package func log(event: LogEvent) {
    var event = event
    event.message = Logger.Message(stringLiteral: event.message.description.visibleLine)
    event.metadata = event.metadata?.mapValues(Self.visible)
    next.log(event: event)
  }

  private static func visible(_ value: Logger.MetadataValue) -> Logger.MetadataValue {
    switch value {
    case .string(let text): .string(text.visibleLine)
    case .stringConvertible(let value): .string(value.description.visibleLine)
    case .array(let values): .array(values.map(visible))
    case .dictionary(let values): .dictionary(values.mapValues(visible))
    }
  }
}
