import Console
import Foundation
import Simulator
import Synchronization

/// How fast the simulator runs here: committed tokens per second on one core, and how it scales.
package struct SpeedReport {
  package var name: String
  package var tokensPerSecond: Double
  package var expansionsPerSecond: Double
  /// Of as many runs at the same time as there are jobs, against one.
  package var scaling: Double
  package var jobs: Int

  package static func measure(jobs: Int) -> [SpeedReport] {
    SpeedProbe.Case.allCases.map { probe in
      let alone = SpeedProbe.run(probe)
      let total = Mutex(0.0)
      DispatchQueue.concurrentPerform(iterations: jobs) { _ in
        let speed = SpeedProbe.run(probe).tokensPerSecond
        total.withLock { $0 += speed }
      }
      return SpeedReport(
        name: probe.rawValue, tokensPerSecond: alone.tokensPerSecond,
        expansionsPerSecond: alone.expansionsPerSecond,
        scaling: total.withLock { $0 } / alone.tokensPerSecond, jobs: jobs)
    }
  }

  package var object: [String: any Sendable] {
    [
      "case": name, "tokens_per_second": tokensPerSecond, "expansions_per_second": expansionsPerSecond,
      "jobs": jobs, "scaling": scaling,
    ]
  }
}

extension [SpeedReport] {
  package var text: String {
    var table = TextTable(["case", "tokens/s on one core", "expansions/s", "\(first?.jobs ?? 1) at once"])
    for row in self {
      table.add([
        row.name, row.tokensPerSecond.fixed(0), row.expansionsPerSecond.fixed(0), row.scaling.fixed(2) + "x",
      ])
    }
    return table.rendered()
  }
}
