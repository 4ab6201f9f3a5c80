import Foundation
import Simulator
import Synchronization

/// How fast the simulator runs here: committed tokens per second on one core, and how it scales.
struct SpeedReport {
  var name: String
  var tokensPerSecond: Double
  var expansionsPerSecond: Double
  /// Of as many runs at the same time as there are jobs, against one.
  var scaling: Double
  var jobs: Int

  static func measure(jobs: Int) -> [SpeedReport] {
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

  var object: [String: any Sendable] {
    [
      "case": name, "tokens_per_second": tokensPerSecond, "expansions_per_second": expansionsPerSecond,
      "jobs": jobs, "scaling": scaling,
    ]
  }
}

extension [SpeedReport] {
  var text: String {
    var table = TextTable(["case", "tokens/s on one core", "expansions/s", "\(first?.jobs ?? 1) at once"])
    for row in self {
      table.add([
        row.name, row.tokensPerSecond.fixed(0), row.expansionsPerSecond.fixed(0), row.scaling.fixed(2) + "x",
      ])
    }
    return table.rendered()
  }
}
