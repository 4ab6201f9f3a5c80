import Foundation

/// Compares a controller's worker sites with drafting locally, and with each other.
struct PlanJudgement {
  private let file: PlanFile
  private let controller: PlanFile.Site
  private var pairs: [PlanResult.Pair] = []
  private var isPriced = false

  init(_ file: PlanFile, _ controller: PlanFile.Site) {
    self.file = file
    self.controller = controller
  }

  /// - Parameter hours: one for the whole day, or 24
  mutating func add(_ worker: PlanFile.Site, _ path: RoundTrips.Path, _ hours: [PairHour]) {
    let isSameSite = worker.name == controller.name
    let results = hours.enumerated().map { number, hour in
      hour.result(hours.count == 1 ? nil : number, isSameSite: isSameSite)
    }
    func mean(_ value: (PlanResult.Hour) -> Double) -> Double {
      results.reduce(0) { $0 + value($1) } / Double(max(1, results.count))
    }
    let ratio = PairHour.ratio(hours)
    var pair = PlanResult.Pair(
      controller: controller.name, worker: worker.name, roundTripMilliseconds: path.median * 1000,
      origin: path.origin,
      hours: results, millisecondsPerToken: mean(\.millisecondsPerToken),
      localMillisecondsPerToken: mean(\.localMillisecondsPerToken),
      plainMillisecondsPerToken: mean(\.plainMillisecondsPerToken), moved: mean(\.moved), ratio: ratio.value,
      ratioInterval: ratio.interval.map(PlanResult.Interval.init),
      slowHours: results.compactMap { $0.ratio < 1 - file.tolerance ? $0.hour : nil }, verdict: .works,
      reason: "")
    if controller.targetPrice > 0 || controller.draftPrice > 0 || worker.draftPrice > 0 {
      isPriced = true
      let saved = hours.reduce(0) { $0 + self.saved($1, worker) } / Double(max(1, hours.count))
      pair.usdSavedPerMillionTokens = saved
      // Of the Julian year, 365.25 days.
      pair.usdSavedPerYear = file.tokensPerSecond.map { saved / 1e6 * $0 * 31_557_600 }
    }
    judge(&pair)
    pairs.append(pair)
  }

  /// USD for a million tokens, against drafting locally.
  ///
  /// What is held while a token is written: machines of the targets, one that drafts locally, workers. What still
  /// drafts locally is paid for by its passes: the rest of the time that machine does something else.
  private func saved(_ hour: PairHour, _ worker: PlanFile.Site) -> Double {
    guard let here = file.hardware[controller.name], let there = file.hardware[worker.name] else {
      preconditionFailure("every site of a plan has its hardware")
    }
    let targets = controller.targetPrice * Double(here.targets)
    let local = (targets + controller.draftPrice) * hour.local.best.millisecondsPerToken
    let wan =
      (targets + controller.draftPrice * hour.localShare + worker.draftPrice * Double(there.workers))
      * hour.wan.millisecondsPerToken
    // USD/h × ms/token × 1e6 tokens = USD × 1e6 / 3.6e6; so many are written at the same time.
    return (local - wan) / 3.6 / Double(here.sessions)
  }

  private func judge(_ pair: inout PlanResult.Pair) {
    let distance = "\(pair.isSameSite ? "same site, " : "")RTT \(Self.number(pair.roundTripMilliseconds)) ms"
    let speed = "\(distance): \(Self.compared(pair.ratio)) drafting locally"
    let isFaster = pair.millisecondsPerToken < pair.plainMillisecondsPerToken
    if pair.ratio < 1 - file.tolerance {
      pair.verdict = .notWorthIt
      pair.reason = speed + (isFaster ? "" : ", and no faster than plain decoding")
    } else if !isFaster {
      pair.verdict = .notWorthIt
      pair.reason = "\(speed), and no faster than plain decoding"
    } else if let saved = pair.usdSavedPerMillionTokens, saved < 0 {
      pair.verdict = .notWorthIt
      pair.reason = "\(speed), but dearer by \(Self.number(-saved)) USD for a million tokens"
    } else if pair.ratio < 1, pair.moved <= 0 {
      pair.verdict = .notWorthIt
      pair.reason = "\(speed), and no draft work leaves the site"
    } else {
      pair.reason =
        pair.isSameSite
        ? "\(speed), but no draft work leaves the site"
        : "\(speed), \(Self.percent(pair.moved)) of its draft work moved"
      let slow = pair.slowHours.count
      if slow > 0 { pair.reason += "; slower in \(slow) hour\(slow == 1 ? "" : "s") of the day" }
    }
  }

  /// The pairs in the order of the file, ranked: by what they save, or without prices by speed, which leaves out a
  /// worker at the same site, since it moves nothing away.
  func judged() -> [PlanResult.Pair] {
    func value(_ pair: PlanResult.Pair) -> Double {
      isPriced ? pair.usdSavedPerMillionTokens ?? 0 : pair.ratio
    }
    let good = pairs.indices.filter { pairs[$0].verdict == .works && (isPriced || !pairs[$0].isSameSite) }
    // Of equals the first in the file goes ahead.
    let order = good.sorted { (value(pairs[$1]), $0) < (value(pairs[$0]), $1) }
    var result = pairs
    for (rank, index) in order.enumerated() { result[index].rank = rank + 1 }
    if let best = order.first { result[best].verdict = .recommended }
    return result
  }

  // MARK: Words

  /// "12% faster than", "as fast as".
  private static func compared(_ ratio: Double) -> String {
    let change = percent(abs(ratio - 1))
    if change == "0%" { return "as fast as" }
    return "\(change) \(ratio > 1 ? "faster" : "slower") than"
  }

  private static func percent(_ share: Double) -> String { String(format: "%.0f%%", share * 100) }

  /// Two digits below ten: where the difference is small, it is what matters.
  private static func number(_ value: Double) -> String {
    String(format: abs(value) < 9.95 ? "%.1f" : "%.0f", value)
  }
}
