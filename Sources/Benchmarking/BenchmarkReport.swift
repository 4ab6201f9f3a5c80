import Console
import Foundation
import SpeculationCore
import Synchronization

/// What a benchmark shows while it runs: one line that is rewritten on a terminal, one line for each prompt
/// elsewhere. On standard error.
package final class BenchmarkProgress: Sendable {
  private let isShown: Bool
  private let bar: ProgressBar

  package init(isShown: Bool) {
    self.isShown = isShown
    bar = ProgressBar(title: "bench")
  }

  package func report(_ event: Benchmark.Event) {
    guard isShown else { return }
    switch event {
    case .started(let configuration, let prompt, let index, let total):
      bar.update(done: Int64(index), total: Int64(total), note: "\(prompt.id), \(configuration.name)")
    case .finished(let row):
      if case .different(let index, let margin) = row.comparison {
        bar.say(
          "\(row.prompt.id), \(row.configuration.name): differs from plain at token \(index), gap \(margin)")
      }
    case .warning(let text): bar.say(text)
    case .ready, .tokens: break
    }
  }

  package func finish() {
    if isShown { bar.finish() }
  }
}

extension BenchmarkRow {
  package var object: [String: any Sendable] {
    var object = figures.object.merging([
      "event": "row", "configuration": configuration.name, "mode": configuration.mode.rawValue,
      "prompt": prompt.id, "task": prompt.task, "token_ids": tokens.map { Int($0.token) },
    ]) { a, _ in a }
    object["rtt_set_ms"] = configuration.roundTrip?.inMilliseconds
    object["round"] = round
    object["resident_bytes"] = residentBytes
    switch comparison {
    case nil: break
    case .same: object["text"] = "same"
    case .nearTie(let index, let margin):
      object["text"] = "near-tie"
      object["parts_at"] = index
      object["margin"] = Double(margin)
    case .different(let index, let margin):
      object["text"] = "different"
      object["parts_at"] = index
      object["margin"] = margin.isFinite ? Double(margin) : -1
    }
    return object
  }
}

extension BenchmarkSummary {
  package func object(among summaries: [BenchmarkSummary]) -> [String: any Sendable] {
    var object: [String: any Sendable] = [
      "event": "summary", "configuration": configuration.name, "mode": configuration.mode.rawValue,
      "prompts": Set(rows.map(\.prompt.id)).count, "rows": rows.count, "tokens": statistics.tokens,
      "tokens_per_step": statistics.tokensPerStep,
      "controller_draft_passes_per_token": statistics.localExpansionsPerToken,
      "worker_expansions": statistics.workerExpansions, "wasted_share": statistics.wastedShare,
      "bubble_rate": statistics.bubbleRate, "same": same, "near_ties": nearTies.count,
      "different": differences.count,
    ]
    object.merge(configuration.byHand.fields) { own, _ in own }
    object["rtt_set_ms"] = configuration.roundTrip?.inMilliseconds
    // JSON has no word for what is not finite: a run of texts that were over after one step has no speed.
    func finite(_ value: Double?) -> Double? { value.flatMap { $0.isFinite ? $0 : nil } }
    object["ms_per_token"] = finite(millisecondsPerToken)
    object["wan_bytes_per_token"] = finite(bytesPerToken)
    object["spread"] = finite(spread)
    object["work_moved"] = summaries.workMoved(self)
    if let plain = summaries.plain {
      object["speed_vs_plain"] = finite(speed(against: plain))
      object["worst_prompt_vs_plain"] = worstSpeed(against: plain)?.speed
    }
    if let firstGuess {
      object["first_guess_ms"] = ["median": firstGuess.median, "max": firstGuess.max]
    }
    if let overhead = stepOverhead {
      object["step_overhead_ms"] = ["median": overhead.median, "p99": overhead.p99, "max": overhead.max]
    }
    return object
  }
}

extension [BenchmarkSummary] {
  /// What the table has no room for.
  package var footnotes: [String] {
    var lines: [String] = []
    if contains(where: { workMoved($0) != nil }) {
      lines.append("work moved: draft passes that left the controller, against local parallel")
    }
    if let spread = plain?.spread {
      lines.append(
        "plain itself, on one prompt, was up to \(spread.fixed(2))x slower in one round than in another: this "
          + "machine's noise")
    }
    for summary in self {
      guard let overhead = summary.stepOverhead else { continue }
      let statistics = summary.statistics
      var line =
        "\(summary.configuration.name): controller's own time per step median \(overhead.median.fixed(3)) ms, "
        + "p99 \(overhead.p99.fixed(3)) ms"
      if summary.configuration.mode == .wan {
        line +=
          "; worker expansions/token \((Double(statistics.workerExpansions) / Double(statistics.tokens)).fixed(2)), "
          + "wasted \((100 * statistics.wastedShare).fixed(0))%; bubbles \((100 * statistics.bubbleRate).fixed(0))%; "
          + "paused \((100 * statistics.pausedShare).fixed(0))%"
        if let firstGuess = summary.firstGuess {
          line +=
            "; first guess \(firstGuess.median.fixed(0)) ms after the worker was asked (median; "
            + "\(firstGuess.max.fixed(0)) at most)"
        }
      }
      lines.append(line)
    }
    for summary in self {
      for tie in summary.nearTies {
        lines.append(
          "near-tie: \(tie.prompt), \(summary.configuration.name), token \(tie.index), gap \(Double(tie.margin).fixed(4)) logits"
        )
      }
      for difference in summary.differences {
        lines.append(
          "DIFFERENT: \(difference.prompt), \(summary.configuration.name), token \(difference.index), gap "
            + "\(difference.margin) logits")
      }
    }
    return lines
  }
}
