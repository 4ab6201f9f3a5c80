import Foundation
import LatencyStudy
import StrictYAML
import Testing

/// A campaign with a source and a target, and what is put in.
func campaign(_ extra: String = "", target: String = "", sources: String = "[eu-west-2]") throws -> Campaign {
  try Campaign(
    YAMLDocument(
      parsing: """
        name: test
        sources: \(sources)
        targets:
        - name: a
          region: us-east-1
          api: openai-chat
          url: http://127.0.0.1:1/v1
          model: m
        \(target)
        \(extra)
        """, name: "c.yaml"))
}

@Suite struct CampaignTests {
  private func refusal(_ extra: String = "", target: String = "", sources: String = "[eu-west-2]") -> String {
    do {
      _ = try campaign(extra, target: target, sources: sources)
      return ""
    } catch { return "\(error)" }
  }

  @Test func whatIsNotSaidHasADefault() throws {
    let campaign = try campaign()
    #expect(campaign.days == 7)
    #expect(campaign.every == .seconds(300))
    #expect(campaign.slots == 2016)
    #expect(campaign.requestsPerSource == 2016)
    #expect(campaign.prompt.nonce)
    #expect(campaign.limits == Campaign.Limits())
    #expect(campaign.targets[0].authentication == .none)
    #expect(campaign.highestCostPerSource == 0)
  }

  @Test func limitsAloneDoNotMakeAnotherCampaign() throws {
    let plain = try campaign().fingerprint
    #expect(try campaign("limits: {max-usd: 3, concurrency: 2}").fingerprint == plain)
    #expect(try campaign("# a comment").fingerprint == plain)
    #expect(try campaign("every: 10min").fingerprint != plain)
    // What is stored says the same.
    let stored = try Campaign(YAMLDocument(parsing: campaign("limits: {max-usd: 3}").text, name: "s"))
    #expect(stored.fingerprint == plain)
    #expect(stored.limits.maxUSD == 3)
  }

  @Test func costIsCountedAtItsHighest() throws {
    let campaign = try campaign(
      "  price: {input: 1, output: 10}\nprompt: {text: hello, max-tokens: 100}\ndays: 1\nwarm: true")
    // 5 bytes and 64 tokens of wrapping in, 100 out, per million; twice 288.
    #expect(abs(campaign.highestCostPerSource - (69e-6 + 1000e-6) * 576) < 1e-9)
    #expect(campaign.requestsPerSource == 576)
  }

  @Test(
    arguments: [
      ("every: fast", "c.yaml:10: every: expected a duration"),
      ("evry: 5min", "c.yaml:10: unknown key \"evry\" at the top level; did you mean \"every\"?"),
      ("every: 100ms", "c.yaml:10: every: must be"),
      ("days: 0", "c.yaml:10: days: must be"),
      ("clock: ftp://x", "c.yaml:10: \"ftp://x\" is not an address"),
      ("prompt: {max-tokens: 0}", "c.yaml:10: prompt.max-tokens: must be"),
      ("regions: {moon: {latitude: 1}}", "c.yaml:10: regions.moon needs \"longitude\""),
      ("regions: {moon: {latitude: 1, longitude: 2, time-zone: Moon/Sea}}", "unknown time zone \"Moon/Sea\""),
      ("limits: {max-usd: -1}", "c.yaml:10: limits.max-usd: must be"),
      ("days: 366\nevery: 1s", "c.yaml:11: more than 10000000 probes"),
    ])
  func badValuesAreRefusedWithTheirLine(extra: String, message: String) {
    #expect(refusal(extra).contains(message), "\(refusal(extra))")
  }

  @Test(
    arguments: [
      (
        "- {name: a, region: us-east-1, api: openai-chat, url: 'http://x', model: m}",
        "the target a is there twice"
      ),
      (
        "- {name: b, region: us-east-1, api: openai-chat, url: 'http://127.0.0.1:1/v1', model: m}",
        "b and a overlap"
      ),
      (
        "- {name: b, region: us-esat-1, api: openai-chat, url: 'http://x', model: m}",
        "did you mean \"us-east-1\"?"
      ),
      ("- {name: b, region: us-east-1, api: openai, url: 'http://x', model: m}", "targets.1.api"),
      ("- {name: b, region: us-east-1, api: openai-chat, model: m}", "targets.1 needs \"url\""),
      ("- {name: b, region: us-east-1, api: openai-chat, url: 'http://x?k=1', model: m}", "no ? and no #"),
      (
        "- {name: b, region: us-east-1, api: openai-chat, url: 'http://u:p@x', model: m}",
        "no user or password"
      ),
      (
        "- {name: b, region: us-east-1, api: openai-chat, url: 'http://x', model: m, auth: sigv4}",
        "sigv4 is for"
      ),
      (
        "- {name: b, region: us-east-1, api: openai-chat, url: 'http://x', model: m, key-variable: sk-123}",
        "never the key"
      ),
      (
        "- {name: b, region: us-east-1, api: bedrock-converse, model: us.anthropic.claude-x}",
        "inference profile"
      ),
      (
        "- {name: b, region: us-east-1, api: bedrock-converse, model: x, auth: none, profile: p}",
        "only auth: sigv4"
      ),
    ])
  func badTargetsAreRefusedWithTheirLine(target: String, message: String) {
    let refusal = refusal(target: target)
    #expect(refusal.contains(message), "\(refusal)")
    #expect(refusal.hasPrefix("c.yaml:9: "), "\(refusal)")
  }

  @Test(
    arguments: [
      ("[eu-west-2, eu-west-2]", "the source eu-west-2 is there twice"),
      ("[]", "a campaign has a source at least"),
      ("[mars]", "unknown region \"mars\""),
      ("[{region: eu-west-2, local-address: here}]", "is not an IP address"),
    ])
  func badSourcesAreRefused(sources: String, message: String) {
    #expect(refusal(sources: sources).contains(message), "\(refusal(sources: sources))")
  }

  @Test func bedrockKnowsItsAddress() throws {
    let campaign = try campaign(
      target: "- {region: eu-west-3, api: bedrock-invoke, model: 'anthropic.claude-x-v1:0'}")
    let target = campaign.targets[1]
    #expect(target.name == "eu-west-3")
    #expect(target.url == "https://bedrock-runtime.eu-west-3.amazonaws.com")
    #expect(target.authentication == .signature(profile: nil))
    let endpoint = try target.endpoint(from: "eu-west-2")
    #expect(endpoint.authority == "bedrock-runtime.eu-west-3.amazonaws.com")
    #expect(endpoint.port == 443)
  }

  @Test func theShippedCampaignIsOne() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let campaign = try Campaign.read(root.appending(path: "Scenarios/study/campaign.yaml").path)
    #expect(campaign.targets.count == 3 && campaign.sources.count == 3)
    #expect(campaign.highestCostPerSource < 5)
  }

  // MARK: Schedule

  @Test func aSlotHasOneProbeWithinIt() throws {
    let schedule = Schedule(every: .seconds(300), fingerprint: "abc")
    var offsets: [Double] = []
    for slot in 5_000_000..<5_002_000 {
      let time = schedule.time(of: slot, source: "s", target: "t")
      #expect(schedule.slot(at: time) == slot)
      offsets.append(Double(time - schedule.start(of: slot)) / 300e9)
    }
    // Spread over the first nine tenths, evenly.
    #expect(offsets.max()! < 0.9 && offsets.min()! >= 0)
    let mean = offsets.reduce(0, +) / Double(offsets.count)
    #expect(abs(mean - 0.45) < 0.02)
    #expect(schedule.slot(at: -1) == -1)
  }

  @Test func theOrderOfTargetsChanges() {
    let schedule = Schedule(every: .seconds(60), fingerprint: "abc")
    let first = (0..<1000).count { slot in
      schedule.time(of: slot, source: "s", target: "a") < schedule.time(of: slot, source: "s", target: "b")
    }
    #expect((400...600).contains(first))
    #expect(
      schedule.time(of: 7, source: "s", target: "a")
        == Schedule(every: .seconds(60), fingerprint: "abc").time(of: 7, source: "s", target: "a"))
  }

  // MARK: Budget

  @Test func nothingIsSentThatMightCostTooMuch() {
    var budget = RunBudget(maxRequests: 3, maxUSD: 1, sent: 0, usd: 0.5)
    #expect(budget.reserve(requests: 1, usd: 0.3) == nil)
    // What is under way counts at its highest.
    #expect(budget.reserve(requests: 1, usd: 0.3) == "1.0 USD")
    budget.settle(reserved: 0.3, requests: 1, sent: 1, usd: 0.1)
    #expect(abs(budget.usd - 0.6) < 1e-12)
    #expect(budget.reserve(requests: 1, usd: 0.3) == nil)
    #expect(budget.reserve(requests: 2, usd: 0) == "3 requests")
    // A request that was never sent is free again.
    budget.settle(reserved: 0.3, requests: 1, sent: 0, usd: 0)
    #expect(budget.reserve(requests: 2, usd: 0) == nil)
  }
}
