import SpeculationCore
import StrictYAML

/// Without an upper end that anybody would meet.
private let anyTime = Duration.zero ... .seconds(31_536_000)

/// Every key of a scenario that says what stands where and what is decided how, each declared once.
///
/// What several keys have together (a trace has lengths of its own) is checked by the readers.
public enum ScenarioKeys {
  /// The keys of one section.
  public struct Section: Sendable {
    /// "worker.limits", as docs/simulator.md names it; empty at the top level.
    public var path: String
    public var rows: [ScenarioKeyRow]
  }

  public static let sections: [Section] = [
    Section(path: "", rows: root), Section(path: "text", rows: Text.rows),
    Section(path: "target, draft, local", rows: Engine.rows),
    Section(path: "worker, workers[]", rows: Worker.rows + Drafter.rows),
    Section(path: "link, workers[].link", rows: Link.rows),
    Section(path: "link.outages[]", rows: Link.Outages.rows),
    Section(path: "link.series", rows: Link.Series.rows),
    Section(path: "link.jitter", rows: Link.Jitter.rows),
    Section(path: "controller", rows: Controller.rows),
    Section(path: "controller.policy", rows: Controller.Policy.rows),
    Section(path: "controller.verify", rows: Controller.Verify.rows),
    Section(path: "controller.local", rows: Drafter.rows), Section(path: "workload", rows: Requests.rows),
    Section(path: "workload.prompt, workload.answer", rows: Requests.Length.rows),
    Section(path: "workload.arrivals", rows: Arrivals.rows),
    Section(path: "workload.arrivals.diurnal", rows: Arrivals.Diurnal.rows),
    Section(path: "workload.arrivals.trace", rows: Arrivals.Trace.rows),
    Section(path: "goodput", rows: Goodput.rows), Section(path: "capacity", rows: Capacity.rows),
  ]

  private static let root: [ScenarioKeyRow] =
    [
      seed.row, profile.row, text.row, target.row, draft.row, local.row, worker.row, workers.row, link.row,
      controller.row, sessions.row, sharesTarget.row, contention.row, draftContention.row, stepOverhead.row,
      livenessTimeout.row, workersPerSession.row, workload.row, goodput.row, capacity.row,
    ] + Limits.rows
}

// MARK: The top level

extension ScenarioKeys {
  static let seed = ScenarioKey("seed", "Of everything that happens by chance", in: 0...Int.max, default: 1)
  static let profile = ScenarioKey<String>(
    "profile", "Pass times of real hardware (`Scenarios/profiles`, `wanspec profile`)", "a file")
  static let text = ScenarioKey<YAMLSection>("text", "What is written: a recording, or matches by chance")
  static let target = ScenarioKey<YAMLSection>(
    "target", "The target's passes; the profile's where it is not written")
  static let draft = ScenarioKey<YAMLSection>("draft", "The draft's passes at a worker")
  static let local = ScenarioKey<YAMLSection>(
    "local", old: "home", "The same for the draft beside the target, where it differs")
  static let worker = ScenarioKey<YAMLSection>("worker", "Workers that are all alike")
  static let workers = ScenarioKey<[YAMLSection]>(
    list: "workers", "Workers that differ, instead of `worker`, each with a `link` of its own", maxCount: 256)
  static let link = ScenarioKey<YAMLSection>("link", "The network between controller and workers")
  static let controller = ScenarioKey<YAMLSection>("controller", "What the controller decides")
  static let sessions = ScenarioKey("sessions", "Generations at the same time", in: 1...1000, default: 1)
  static let sharesTarget = ScenarioKey("shares-target", "Whether one target serves them all", default: true)
  static let contention = ScenarioKey<Double>(
    "contention", "How many times as long a target's pass takes beside a draft's", in: 1...10, default: 1)
  static let draftContention = ScenarioKey<Double>(
    "draft-contention", "How many times as long a draft's pass takes beside a target's", in: 1...10,
    default: 1)
  static let stepOverhead = ScenarioKey(
    "step-overhead", "The controller's own time for a step", in: .zero ... .seconds(10), default: .zero)
  static let livenessTimeout = ScenarioKey(
    "liveness-timeout", "When a silent worker counts as gone", in: .milliseconds(1) ... .seconds(3600),
    default: .seconds(3))
  static let workersPerSession = ScenarioKey(
    "workers-per-session", "Workers that draft for one generation at a time", in: 1...16, default: 1)
  static let workload = ScenarioKey<YAMLSection>(
    "workload", "Requests; without it each text is written once, `sessions` at a time")
  static let goodput = ScenarioKey<YAMLSection>("goodput", "Limits that an answer has to keep to count")
  static let capacity = ScenarioKey<YAMLSection>(
    "capacity", "Limits for which the most streams are looked for")

  /// In the ranges of `wanspec serve`.
  enum Limits {
    static let cacheTokens = ScenarioKey(
      "cache-tokens", "Tokens of all answers that the target's cache holds", in: 1...(1 << 26))
    static let maxSessions = ScenarioKey("max-sessions", "Answers written at once", in: 1...4096)
    static let maxWaiting = ScenarioKey("max-waiting", "Requests that wait; more are refused", in: 0...65_536)
    static let context = ScenarioKey(
      "context", "Tokens an answer may have, prompt included", in: 2...TokenLength.limits.upperBound)
    static let branches = ScenarioKey(
      "branches", "Leaves of trees over all sessions in one pass", in: 1...65_536)
    static let prefillChunk = ScenarioKey(
      "prefill-chunk", "Tokens of prompts in one pass while other answers are being written", in: 1...65_536)

    static let rows = [
      cacheTokens.row, maxSessions.row, maxWaiting.row, context.row, branches.row, prefillChunk.row,
    ]
  }
}

// MARK: Texts and engines

extension ScenarioKeys {
  enum Text {
    static let recording = ScenarioKey<String>(
      "recording", "What models said, a file of `wanspec trace record`", "a file")
    static let tasks = ScenarioKey<YAMLValue>("tasks", "Tasks of the recording to take", "a list")
    static let joined = ScenarioKey("joined", "Whether the recording's texts are one", default: false)
    static let fittedTo = ScenarioKey<String>(
      "fitted-to", "Matches by chance, as often as in this recording", "a file")
    static let matchRate = ScenarioKey(
      "match-rate", "How often the draft's first candidate is right", in: 0...1, percent: true)
    static let afterMiss = ScenarioKey(
      "after-miss", "How often after a miss; as often as otherwise where it is not written", in: 0...1,
      percent: true)
    static let spread = ScenarioKey<Double>(
      "spread", "How much of the rest each next candidate has", in: 0...1, default: 0.5)
    static let texts = ScenarioKey(
      "texts", "How many; all of a recording, or 16, where it is not written", in: 1...100_000)
    static let length = ScenarioKey(
      "length", "Tokens of a text that is drawn", in: 1...10_000_000, default: 256)

    static let rows = [
      recording.row, tasks.row, joined.row, fittedTo.row, matchRate.row, afterMiss.row, spread.row, texts.row,
      length.row,
    ]
  }

  enum Engine {
    static let pass = ScenarioKey<YAMLValue>(
      "pass", "Duration of a pass", "a duration, or a table such as {1: 30ms, 8: 33ms} by size")
    static let prefill = ScenarioKey(
      "prefill",
      "For each token of a prompt; a draft reads at the speed of its passes where it is not written",
      in: .zero ... .seconds(10))

    static let rows = [pass.row, prefill.row]
  }
}

// MARK: Workers

extension ScenarioKeys {
  enum Worker {
    static let count = ScenarioKey("count", "Workers, of `worker`", in: 0...256, default: 1)
    static let capacity = ScenarioKey("capacity", "Sessions it drafts for at once", in: 1...4096, default: 64)
    static let joinsAt = ScenarioKey("joins-at", "When it attaches", in: anyTime, default: .zero)
    static let diesAt = ScenarioKey("dies-at", "When it dies without a word", in: anyTime)

    static let rows = [count.row, capacity.row, joinsAt.row, diesAt.row]
  }

  /// Limits of whoever drafts, at a worker or locally; the autopilot's where they are not written.
  enum Drafter {
    static let width = ScenarioKey("width", "Nodes in one draft pass at most (B)", in: DraftLimits.passWidths)
    static let candidates = ScenarioKey(
      "candidates", "Children kept for each node (m)", in: DraftLimits.candidateCounts)
    static let minProbability = ScenarioKey<Double>(
      "min-probability", "Candidates less likely than this are not kept", in: 0...1)
    static let minPath = ScenarioKey<Double>(
      "min-path", "Where a guess less likely than this to be used is not expanded", in: 0...1)
    static let depth = ScenarioKey("depth", "How far ahead to guess", in: DraftLimits.depths)
    static let nodes = ScenarioKey("nodes", "Nodes of a tree", in: DraftLimits.treeSizes)

    static let rows = [
      width.row, candidates.row, minProbability.row, minPath.row, depth.row, nodes.row,
    ]
  }
}

// MARK: Links

extension ScenarioKeys {
  enum Link {
    static let rtt = ScenarioKey(
      "rtt", "Round trip, half of it each way", in: .zero ... .seconds(120), default: .zero)
    static let upDelay = ScenarioKey(
      "up-delay", "One way, from the worker; half of `rtt` where it is not written", in: oneWay)
    static let downDelay = ScenarioKey(
      "down-delay", "One way, to the worker; half of `rtt` where it is not written", in: oneWay)
    static let rate = ScenarioKey<Double>("rate", "Bits a second each way", "1kbit/s to 1000Gbit/s") {
      (value) throws(YAMLError) in try value.rate(in: 1000...1e12)
    }
    static let loss = ScenarioKey<Double>(
      "loss", "Share of packets that are lost", in: 0...0.5, percent: true, default: 0)
    static let jitter = ScenarioKey<YAMLSection>("jitter", "What packets are late by")
    static let series = ScenarioKey<YAMLSection>("series", "Measured round trips, replayed")
    static let outages = ScenarioKey<[YAMLSection]>(list: "outages", "When nothing arrives", maxCount: 1000)

    private static let oneWay = Duration.zero ... .seconds(60)
    static let rows = [
      rtt.row, upDelay.row, downDelay.row, rate.row, loss.row, jitter.row, series.row, outages.row,
    ]

    enum Outages {
      static let start = ScenarioKey("start", "When it begins", in: anyTime)
      static let length = ScenarioKey("for", "How long it lasts", in: anyTime)
      static let every = ScenarioKey("every", "After how long it comes again", in: anyTime)
      static let resets = ScenarioKey("resets", "Whether connections end with it", default: false)

      static let rows = [start.row, length.row, every.row, resets.row]
    }

    enum Series {
      static let every = ScenarioKey("every", "Time between two", in: .milliseconds(1) ... .seconds(86_400))
      static let rtt = ScenarioKey<YAMLValue>("rtt", "The round trips", "a list of durations")

      static let rows = [every.row, rtt.row]
    }

    enum Jitter {
      static let uniform = ScenarioKey("uniform", "Evenly, up to this", in: late)
      static let normal = ScenarioKey<YAMLSection>("normal", "`{mean, deviation}`, durations")
      static let lognormal = ScenarioKey<YAMLSection>(
        "lognormal", "`{median, sigma}`, a duration and 0 to 10")
      static let pareto = ScenarioKey<YAMLSection>("pareto", "`{scale, shape}`, a duration and 0.1 to 100")
      static let mean = ScenarioKey("mean", "", in: late)
      static let deviation = ScenarioKey("deviation", "", in: late)
      static let median = ScenarioKey("median", "", in: late)
      static let sigma = ScenarioKey<Double>("sigma", "", in: 0...10)
      static let scale = ScenarioKey("scale", "", in: late)
      static let shape = ScenarioKey<Double>("shape", "", in: 0.1...100)

      private static let late = Duration.zero ... .seconds(10)
      static let rows = [uniform.row, normal.row, lognormal.row, pareto.row]
    }
  }
}

// MARK: The controller

extension ScenarioKeys {
  enum Controller {
    enum Mode: String, CaseIterable {
      case autopilot, wan, plain
      case localSequential = "local-sequential"
      case localParallel = "local-parallel"
    }

    static let mode = ScenarioKey<Mode>("mode", "Who drafts; `wan` with fixed settings", default: .autopilot)
    static let draftLength = ScenarioKey(
      "draft-length", "Guesses before each verification in `local-sequential`",
      in: SpeculationSettings.draftLengths, default: SpeculationSettings.defaultDraftLength)
    static let policy = ScenarioKey<YAMLValue>(
      "policy", "When to draft locally beside the workers", "never, always, or a threshold")
    static let verify = ScenarioKey<YAMLSection>("verify", "What one target pass checks")
    static let local = ScenarioKey<YAMLSection>("local", old: "home", "Limits of drafting locally")
    static let lookup = ScenarioKey(
      "lookup", "Guesses in a row that are taken from the text itself", in: SpeculationSettings.lookupLengths)
    static let minGain = ScenarioKey(
      "min-gain", "Pause drafting while it makes the text less than this many times as fast as plain",
      in: SpeculationSettings.minGains)

    static let rows = [
      mode.row, draftLength.row, policy.row, verify.row, local.row, lookup.row, minGain.row,
    ]

    enum Policy {
      static func nats(_ form: LocalDraftPolicy.Form) -> ScenarioKey<Double> {
        ScenarioKey(form.name, about(form), in: 0...100)
      }

      static func time(_ form: LocalDraftPolicy.Form) -> ScenarioKey<Duration> {
        ScenarioKey(form.name, about(form), in: .zero ... .seconds(60))
      }

      private static func about(_ form: LocalDraftPolicy.Form) -> String {
        form.about.prefix(1).uppercased() + form.about.dropFirst()
      }

      static let rows = LocalDraftPolicy.forms.compactMap { form -> ScenarioKeyRow? in
        switch form.kind {
        case .plain: nil
        case .nats: nats(form).row
        case .time: time(form).row
        }
      }
    }

    enum Verify {
      enum Rule: String, CaseIterable {
        case everything
        case costAware = "cost-aware"
      }

      static let width = ScenarioKey("width", "Guesses at most", in: 0...1024)
      static let rule = ScenarioKey<Rule>("rule", "Those that pay by T(n), or all", default: .costAware)
      static let minPath = ScenarioKey<Double>("min-path", "None less likely than this to be used", in: 0...1)

      static let rows = [width.row, rule.row, minPath.row]
    }
  }
}

// MARK: Requests

extension ScenarioKeys {
  enum Requests {
    static let requests = ScenarioKey(
      "requests", "How many; each text once where it is not written", in: 1...100_000_000)
    static let warmUp = ScenarioKey(
      "warm-up", "What comes in before is not counted", in: .zero ... .seconds(30 * 86_400), default: .zero)
    static let prompt = ScenarioKey<YAMLValue>("prompt", "Tokens of a prompt", "a number, or a distribution")
    static let answer = ScenarioKey<YAMLValue>("answer", "Tokens of an answer", "a number, or a distribution")
    static let arrivals = ScenarioKey<YAMLSection>("arrivals", "When requests come; one kind")

    static let rows = [requests.row, warmUp.row, prompt.row, answer.row, arrivals.row]

    enum Length {
      static let uniform = ScenarioKey<YAMLValue>(
        "uniform", "Evenly between two, such as [100, 900]", "two lengths")
      static let lognormal = ScenarioKey<YAMLSection>("lognormal", "`{median, sigma, most}`")
      static let sigma = ScenarioKey<Double>("sigma", "", in: 0...10)
      static let most = ScenarioKey("most", "", in: TokenLength.limits)

      static let rows = [uniform.row, lognormal.row]
    }
  }

  enum Arrivals {
    static let rate = ScenarioKey<YAMLValue>("rate", "Evenly spaced", rates)
    static let poisson = ScenarioKey<YAMLValue>("poisson", "By chance, at this mean rate", rates)
    static let diurnal = ScenarioKey<YAMLSection>("diurnal", "By chance, at a rate that follows the day")
    static let trace = ScenarioKey<YAMLSection>("trace", "From a file")
    static let users = ScenarioKey(
      "users", "So many who ask again when they are answered; `sessions` where it is not written",
      in: 1...100_000)
    static let thinkTime = ScenarioKey(
      "think-time", "After so long, with `users`", in: .zero ... .seconds(86_400), default: .zero)

    static let rates = "0.0001/s to 1000000/s, in /s, /min or /h"
    static let rows = [rate.row, poisson.row, diurnal.row, trace.row, users.row, thinkTime.row]

    enum Diurnal {
      static let mean = ScenarioKey<YAMLValue>("mean", "The mean rate", rates)
      static let period = ScenarioKey(
        "period", "Length of a day", in: .seconds(1) ... .seconds(366 * 86_400), default: .seconds(86_400))
      static let start = ScenarioKey("start", "Where in it the run begins", in: anyTime, default: .zero)
      static let peak = ScenarioKey<Double>("peak", "The highest rate over the mean, of a sine", in: 1...2)
      static let hours = ScenarioKey<YAMLValue>(
        "hours", "A factor for each part of the period, instead", "a list of numbers")

      static let rows = [mean.row, period.row, start.row, peak.row, hours.row]
    }

    enum Trace {
      static let file = ScenarioKey<String>(
        "file", "Arrival time, prompt and answer length, a line for each request", "a file", maxLength: 4096)
      static let scale = ScenarioKey(
        "scale", "How many times as fast as in the file", in: 1e-3...1e6, default: 1)
      static let limit = ScenarioKey("limit", "Requests at most", in: 1...100_000_000)
      static let start = ScenarioKey("start", "From this time of the file on", in: anyTime, default: .zero)
      static let end = ScenarioKey("end", "Up to this time", in: anyTime)

      static let rows = [file.row, scale.row, limit.row, start.row, end.row]
    }
  }

  enum Goodput {
    static let ttft = ScenarioKey("ttft", "Time to the first token at most", in: latencies)
    static let itl95 = ScenarioKey("itl-p95", "95th percentile of the gaps between tokens", in: latencies)
    static let tpot = ScenarioKey("tpot", "Time per token after the first", in: latencies)

    static let rows = [ttft.row, itl95.row, tpot.row]
  }

  enum Capacity {
    static let ttft95 = ScenarioKey("ttft-p95", "95th percentile over all requests", in: latencies)
    static let itl95 = ScenarioKey("itl-p95", "95th percentile over all gaps", in: latencies)
    static let tpot95 = ScenarioKey("tpot-p95", "95th percentile over all requests", in: latencies)
    static let most = ScenarioKey("most", "Streams at most", in: 1...1000, default: 512)
    static let requestsPerStream = ScenarioKey(
      "requests-per-stream", "Requests of each stream in a run", in: 1...1000, default: 4)

    static let rows = [ttft95.row, itl95.row, tpot95.row, most.row, requestsPerStream.row]
  }

  private static let latencies = Duration.microseconds(1) ... .seconds(86_400)
}
