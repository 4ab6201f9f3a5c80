import ArgumentParser
import LatencyStudy

/// What `study run` and `study resume` share.
struct StudyRunOptions: ParsableArguments {
  @Option(
    name: .customLong("max-usd"), parsing: .unconditional,
    help: ArgumentHelp(
      "Stop before a request could bring the cost of this source above it. (env: WANSPEC_MAX_USD)",
      valueName: "usd"))
  var maxUSD: Double?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Stop after so many requests of this source. (env: WANSPEC_MAX_REQUESTS)", valueName: "n"))
  var maxRequests: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Probes at once; others are missed. (env: WANSPEC_CONCURRENCY; default: 32)", valueName: "n"))
  var concurrency: Int?

  @Flag(help: "Say what would be sent and what it may cost, and send nothing.")
  var dryRun = false

  @Flag(help: "One JSON object a line. (env: WANSPEC_JSON)")
  var json = false

  mutating func validate() throws {
    let twins = EnvironmentTwins()
    maxUSD = try twins("WANSPEC_MAX_USD", maxUSD)
    maxRequests = try twins("WANSPEC_MAX_REQUESTS", maxRequests)
    concurrency = try twins("WANSPEC_CONCURRENCY", concurrency)
    json = try twins("WANSPEC_JSON", json)
    if let maxUSD, !(maxUSD >= 0 && maxUSD <= 1e9) {
      throw ValidationError("--max-usd must be between 0 and 1000000000, not \(maxUSD).")
    }
    if let maxRequests, !(1...1_000_000_000).contains(maxRequests) {
      throw ValidationError("--max-requests must be between 1 and 1000000000, not \(maxRequests).")
    }
    if let concurrency, !(1...10_000).contains(concurrency) {
      throw ValidationError("--concurrency must be between 1 and 10000, not \(concurrency).")
    }
  }

  /// The smaller of the flag's and the file's limit.
  func limits(of campaign: Campaign) -> Campaign.Limits {
    func smaller<T: Comparable>(_ a: T?, _ b: T?) -> T? { [a, b].compactMap { $0 }.min() }
    return Campaign.Limits(
      concurrency: concurrency ?? campaign.limits.concurrency,
      maxRequests: smaller(maxRequests, campaign.limits.maxRequests),
      maxUSD: smaller(maxUSD, campaign.limits.maxUSD))
  }
}
