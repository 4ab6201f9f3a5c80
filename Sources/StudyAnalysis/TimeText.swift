import Foundation

/// Figures as sentences have them.
public enum TimeText {
  /// "83 ms", "1.42 s"; "≥ timeout" for what is only known to be longer.
  public static func seconds(_ value: Double) -> String {
    guard value.isFinite else { return value.isNaN ? "-" : "≥ timeout" }
    if abs(value) < 0.0095 { return "\(fixed(value * 1e3, 1)) ms" }
    return abs(value) < 0.9995 ? "\(fixed(value * 1e3, 0)) ms" : "\(fixed(value, 2)) s"
  }

  /// "7 days", "1.5 days"; below a day "12 h", "10 min", "45 s".
  public static func span(_ seconds: Double) -> String {
    func short(_ value: Double) -> String {
      value.formatted(
        .number.precision(.fractionLength(0...2)).grouping(.never).locale(Locale(identifier: "en_US_POSIX")))
    }
    switch seconds {
    case ..<59.995: return "\(short(seconds)) s"
    case ..<3599.7: return "\(short(seconds / 60)) min"
    case ..<86_382: return "\(short(seconds / 3600)) h"
    default:
      let days = short(seconds / 86_400)
      return "\(days) \(days == "1" ? "day" : "days")"
    }
  }

  public static func range(_ range: ClosedRange<Double>) -> String {
    "\(seconds(range.lowerBound)) to \(seconds(range.upperBound))"
  }

  public static func percent(_ share: Double) -> String {
    abs(share) < 0.0995 ? "\(fixed(share * 100, 1))%" : "\(fixed(share * 100, 0))%"
  }

  public static func ratio(_ value: Double) -> String { fixed(value, 2) }

  /// "14:20"
  public static func clock(_ hour: Double) -> String {
    let minutes = Int((hour * 60).rounded()) % 1440
    return "\(minutes / 60):\(minutes % 60 < 10 ? "0" : "")\(minutes % 60)"
  }

  public static func date(_ date: Date) -> String {
    date.formatted(
      .iso8601.year().month().day().dateSeparator(.dash).dateTimeSeparator(.space)
        .time(includingFractionalSeconds: false).timeSeparator(.colon)) + " UTC"
  }

  private static func fixed(_ value: Double, _ decimals: Int) -> String {
    value.formatted(
      .number.precision(.fractionLength(decimals)).grouping(.never).locale(Locale(identifier: "en_US_POSIX")))
  }
}
