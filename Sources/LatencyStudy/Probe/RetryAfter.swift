import Foundation

/// The header of that name (RFC 9110, 10.2.3): seconds, or a date.
package enum RetryAfter {
  /// More than this is not believed.
  static let longest = 3600.0

  package static func seconds(_ text: String, now: Date = Date()) -> Double? {
    let text = text.trimmingCharacters(in: .whitespaces)
    if let seconds = Double(text), seconds.isFinite { return min(max(0, seconds), longest) }
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = TimeZone(identifier: "GMT")
    formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
    return formatter.date(from: text).map { min(max(0, $0.timeIntervalSince(now)), longest) }
  }
}
