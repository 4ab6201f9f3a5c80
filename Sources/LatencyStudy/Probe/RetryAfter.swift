import Foundation

/// The header of that name (RFC 9110, 10.2.3): seconds, or a date.
package enum RetryAfter {
  /// The longest that a campaign lasts: for longer nobody can wait.
  static let longest = 366 * 86_400.0

  /// IMF-fixdate, and the two older forms that a recipient has to know (RFC 9110, 5.6.7).
  private static let forms = [
    "EEE, dd MMM yyyy HH:mm:ss 'GMT'", "EEEE, dd-MMM-yy HH:mm:ss 'GMT'", "EEE MMM d HH:mm:ss yyyy",
  ]

  /// - Returns: seconds from now on; nil for what is neither
  package static func seconds(_ text: String, now: Date = Date()) -> Double? {
    let text = text.trimmingCharacters(in: .whitespaces)
    if let seconds = Double(text), seconds.isFinite { return min(max(0, seconds), longest) }
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = TimeZone(identifier: "GMT")
    for form in forms {
      formatter.dateFormat = form
      if let date = formatter.date(from: text) { return min(max(0, date.timeIntervalSince(now)), longest) }
    }
    return nil
  }
}
