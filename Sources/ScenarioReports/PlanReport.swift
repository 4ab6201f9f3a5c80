import Console
import Foundation
import Placement
import Spelling

/// A plan for people: a matrix, a table, sentences, a page.
package struct PlanReport {
  package let result: PlanResult
  package let tolerance: Double
  /// Whose round trips an emulator made.
  package let emulated: String?
  package let command: String
  /// Of the program, for the page.
  package let version: String

  package init(
    _ result: PlanResult, tolerance: Double, emulated: String?, command: String, version: String
  ) {
    self.version = version
    self.result = result
    self.tolerance = tolerance
    self.emulated = emulated
    self.command = command
  }

  package var text: String {
    var parts = [advice.joined(separator: "\n"), matrix, pairs]
    if let refused { parts.insert(refused, at: 0) }
    if let emulated { parts.insert("Round trips are an emulator's (\(emulated)), not measured ones.", at: 0) }
    if result.pairs.contains(where: { $0.origin == .distance }) {
      parts.append("(~ round trip guessed from the distance: measure it with `wanspec study`)")
    }
    return parts.joined(separator: "\n\n")
  }

  /// What the study says of round trips and cannot be true.
  var refused: String? {
    let worst = result.falseRoundTrips.max {
      $0.shortestPossibleMilliseconds - $0.milliseconds < $1.shortestPossibleMilliseconds - $1.milliseconds
    }
    guard let worst else { return nil }
    return """
      The study's round trips of \(result.falseRoundTrips.count.counted("pair of sites", "pairs of sites")) are not used: \
      they cannot be those between the regions (\(worst.source) to \(worst.region): \(worst.milliseconds.fixed(1)) ms, \
      where light in fibre needs \(worst.shortestPossibleMilliseconds.fixed(0)) ms). What answered stands nearer, as the \
      edge of a content network, a proxy or an emulator without --network does.
      """
  }

  /// One sentence for each controller.
  package var advice: [String] {
    result.controllers.map { controller in
      let own = result.pairs.filter { $0.controller == controller }
      guard let best = own.first(where: { $0.verdict == .recommended }) else {
        return "\(controller): draft locally; no worker site is worth it."
      }
      let reason = best.reason
      var text = "\(controller): put its worker at \(best.worker) (\(reason))"
      if let saved = best.usdSavedPerMillionTokens {
        text += "; saves \(saved.fixed(2)) USD for a million tokens"
      }
      if let year = best.usdSavedPerYear { text += ", \(year.fixed(0)) USD a year" }
      let poor = own.filter { $0.verdict == .notWorthIt }.map(\.worker)
      return text + (poor.isEmpty ? "." : "; do not bother with \(poor.joined(separator: ", ")).")
    }
  }

  /// Rows are controllers, columns are workers: speed against drafting locally.
  private var matrix: String {
    var table = TextTable(["controller \\ worker"] + result.workers)
    for controller in result.controllers {
      table.add(
        [controller]
          + result.workers.map { worker in
            guard let pair = result.pair(controller, worker) else { return "-" }
            let mark = pair.verdict == .recommended ? "*" : pair.verdict == .notWorthIt ? "!" : " "
            return pair.ratio.fixed(2) + mark
          })
    }
    return "Speed against drafting locally: a row for each controller's site, a column for each worker's\n\n"
      + table.rendered() + "\n(* recommended, ! not worth it; 1.00: as fast as drafting beside the target)"
  }

  private var pairs: String {
    var table = TextTable([
      "controller", "worker", "RTT ms", "ms/token", "locally", "plain", "ratio", "95%", "moved", "slow hours",
      "verdict",
    ])
    for pair in result.pairs {
      table.add([
        pair.controller, pair.worker,
        (pair.origin == .distance ? "~" : "") + pair.roundTripMilliseconds.fixed(0),
        pair.millisecondsPerToken.fixed(2), pair.localMillisecondsPerToken.fixed(2),
        pair.plainMillisecondsPerToken.fixed(2), pair.ratio.fixed(2),
        pair.ratioInterval.map { "\($0.low.fixed(2))..\($0.high.fixed(2))" } ?? "-",
        "\((pair.moved * 100).fixed(0))%", pair.hours.count == 1 ? "-" : "\(pair.slowHours.count)",
        pair.verdict.rawValue,
      ])
    }
    return table.rendered()
  }
}
