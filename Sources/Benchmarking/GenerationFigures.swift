import Console
import NodeRuntime
import SpeculationCore

/// The figures of one generation, as design.md section 5 defines them.
package struct GenerationFigures: Sendable {
  package var summary: SessionSummary
  /// Bytes both ways on the controller's sockets to workers; nil without a network.
  package var networkBytes: Int?
  package var roundTrip: Duration?

  package init(
    summary: SessionSummary, networkBytes: Int? = nil, roundTrip: Duration? = nil
  ) {
    self.summary = summary
    self.networkBytes = networkBytes
    self.roundTrip = roundTrip
  }

  private var statistics: SessionStatistics { summary.statistics }

  package var lines: [String] {
    let s = statistics
    var lines: [String] = []
    let speed = summary.millisecondsPerToken.map {
      ", \($0.fixed(1)) ms/token (\((1000 / $0).fixed(1)) tok/s)"
    }
    lines.append(
      "\(s.tokens) tokens from a prompt of \(summary.promptTokens)\(speed ?? ""); first after "
        + "\(summary.timeToFirstToken?.inMilliseconds.fixed(0) ?? "-") ms; ended by \(summary.reason.name)")
    lines.append(
      "\(s.steps) target passes, \(s.tokensPerStep.fixed(2)) tokens/step; "
        + "\(s.acceptedRemote) remote + \(s.acceptedLocal) local guesses accepted, "
        + (s.acceptedLookup > 0 ? "\(s.acceptedLookup) from the text, " : "")
        + "\(s.fromTarget) from the target"
    )
    // Plain decoding has no guesses to speak of.
    let speculates = s.verifiedNodes + s.localExpansions + s.workerExpansions + s.bubbles + s.pausedSteps > 0
    if speculates {
      lines.append(
        "controller draft passes/token \(s.localExpansionsPerToken.fixed(2)); worker expansions "
          + "\(s.workerExpansions), wasted \((100 * s.wastedShare).fixed(0))%; bubbles \((100 * s.bubbleRate).fixed(0))%; "
          + "drafting paused \((100 * s.pausedShare).fixed(0))%"
      )
    }
    if let networkBytes {
      let perToken = s.tokens > 0 ? Double(networkBytes) / Double(s.tokens) : 0
      let rtt = roundTrip.map { "; round trip \($0.inMilliseconds.fixed(1)) ms" } ?? ""
      lines.append("\(perToken.fixed(0)) bytes/token on the wire\(rtt)")
    }
    if let overhead = Quantiles(summary.stepOverheads) {
      lines.append(
        "controller's own time per step: median \(overhead.median.fixed(3)) ms, p99 \(overhead.p99.fixed(3)) ms"
      )
    }
    return lines
  }

  package var object: [String: any Sendable] {
    let s = statistics
    var object: [String: any Sendable] = [
      "finish_reason": summary.reason.name, "tokens": s.tokens, "prompt_tokens": summary.promptTokens,
      "steps": s.steps, "tokens_per_step": s.tokensPerStep, "accepted_remote": s.acceptedRemote,
      "accepted_local": s.acceptedLocal,
      // Its name in an earlier version.
      "accepted_home": s.acceptedLocal, "accepted_lookup": s.acceptedLookup, "from_target": s.fromTarget,
      "bubble_rate": s.bubbleRate,
      "controller_draft_passes": s.localExpansions,
      "controller_draft_passes_per_token": s.localExpansionsPerToken,
      "paused_steps": s.pausedSteps, "worker_expansions": s.workerExpansions, "wasted_share": s.wastedShare,
      "decode_ms": summary.decodeTime.inMilliseconds,
    ]
    object["ttft_ms"] = summary.timeToFirstToken?.inMilliseconds
    object["ms_per_token"] = summary.millisecondsPerToken
    object["first_guess_ms"] = summary.timeToFirstGuess?.inMilliseconds
    object["wan_bytes"] = networkBytes
    object["rtt_ms"] = roundTrip?.inMilliseconds
    if let overhead = Quantiles(summary.stepOverheads) {
      object["step_overhead_ms"] = ["median": overhead.median, "p99": overhead.p99, "max": overhead.max]
    }
    return object
  }
}

/// Exact quantiles of a few durations, in milliseconds (nearest rank).
package struct Quantiles: Sendable {
  private var sorted: [Double]

  /// nil for no samples.
  package init?(_ samples: [Duration]) {
    guard !samples.isEmpty else { return nil }
    sorted = samples.map(\.inMilliseconds).sorted()
  }

  package func quantile(_ q: Double) -> Double {
    sorted[Swift.min(sorted.count - 1, Swift.max(0, Int((q * Double(sorted.count)).rounded(.up)) - 1))]
  }

  package var median: Double { quantile(0.5) }
  package var p99: Double { quantile(0.99) }
  package var max: Double { sorted.last! }
}
