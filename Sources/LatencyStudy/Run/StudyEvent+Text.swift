import Foundation
import Spelling
import StrictYAML

extension StudyEvent {
  /// For people; "" where there is nothing to say.
  public var text: String {
    switch self {
    case .began(_, let stored, _, _): stored > 0 ? ", which holds \(stored.counted("probe"))" : ""
    case .stored, .missed: ""
    case .stopped(let target, let reason): "\(target) is not asked again: \(reason)"
    case .paused(let target, let seconds): "\(target) asked for a pause of \(Self.span(seconds))"
    case .clockStepped(let seconds):
      "the clock was set \(seconds > 0 ? "forward" : "back") by \(Self.span(abs(seconds)))"
    case .draining(let probes, let within):
      "waiting up to \(YAMLDuration.text(within)) for \(probes.counted("probe")) under way; Ctrl-C once more ends at once"
    }
  }

  /// To a tenth of a second.
  private static func span(_ seconds: Double) -> String { String(format: "%.1f s", seconds) }
}
