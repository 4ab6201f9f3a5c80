import Console
import Simulator
import SpeculationCore

/// What a campaign of fault runs came to, for people and scripts.
package struct FaultReport {
  package let summary: FaultSummary
  package let first: UInt64
  package let version: String

  package init(
    summary: FaultSummary, first: UInt64, version: String
  ) {
    self.summary = summary
    self.first = first
    self.version = version
  }

  private var secondsPerSeed: Double { summary.elapsed.inSeconds / Double(max(1, summary.runs)) }

  package var text: String {
    var table = TextTable(["exercised", "times"])
    for counter in FaultCounts.Counter.allCases where summary.counts[counter] > 0 {
      table.add([counter.words, "\(summary.counts[counter])"])
    }
    var lines = [
      "wanspec \(version), seeds from \(first): \(summary.runs) runs, \(summary.failedSeeds.count) failed, "
        + "\((secondsPerSeed * 1000).fixed(2)) ms a run, digest \(String(summary.digest, radix: 16))",
      "", table.rendered(),
    ]
    if !summary.missing.isEmpty {
      lines.append("\nnot exercised: " + summary.missing.map(\.words).joined(separator: ", "))
    }
    if let failure = summary.failure {
      lines.append(
        "\nFAILED, wanspec \(version), \(failure)\n\nrun it again: wanspec simulate --faults --first-seed "
          + "\(failure.seed) --seeds 1; the smaller plan: save it and give it to --replay")
    }
    return lines.joined(separator: "\n")
  }

  package var object: [String: any Sendable] {
    var counts: [String: any Sendable] = [:]
    for counter in FaultCounts.Counter.allCases { counts["\(counter)"] = summary.counts[counter] }
    var object: [String: any Sendable] = [
      "version": version, "first_seed": Int64(clamping: first), "runs": summary.runs,
      "failed": summary.failedSeeds.count, "digest": String(summary.digest, radix: 16),
      "seconds": summary.elapsed.inSeconds,
      "counts": counts,
    ]
    if let failure = summary.failure {
      object["failure"] = failure.message
      object["seed"] = Int64(clamping: failure.seed)
      object["plan"] = failure.shrunk.json()
    }
    return object
  }
}
