import ArgumentParser
import CommandSettings
import LatencyStudy

/// What `study run` and `study resume` share.
struct StudyRunOptions: ParsableArguments {
  @Option(Settings.maxUSD) var maxUSD: Double?

  @Option(Settings.maxRequests) var maxRequests: Int?

  @Option(Settings.concurrency) var concurrency: Int?

  @Flag(help: "Say what would be sent and what it may cost, and send nothing.")
  var dryRun = false

  @Flag(Settings.json) var json = false

  mutating func validate() throws {
    maxUSD = try Settings.maxUSD.resolve(maxUSD)
    maxRequests = try Settings.maxRequests.resolve(maxRequests)
    concurrency = try Settings.concurrency.resolve(concurrency)
    json = try Settings.json.resolve(json)
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
