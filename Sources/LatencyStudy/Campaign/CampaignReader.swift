import Crypto
import Foundation
import StrictYAML
import StudyAnalysis

extension Campaign {
  /// Keys of the file that say how far one source may go, and nothing of what is measured.
  private static let ownKeys: Set<String> = ["limits"]

  public static func read(_ path: String) throws(YAMLError) -> Campaign {
    try Campaign(try YAMLDocument.read(path, kind: ("a campaign", "name: my-study")))
  }

  public init(_ document: YAMLDocument) throws(YAMLError) {
    let root = document.root
    let reader = CampaignReader(root: root)
    name = try root.required("name", root.text("name", maxLength: 100))
    guard name.wholeMatch(of: /[A-Za-z0-9][A-Za-z0-9._-]*/) != nil else {
      throw root.error("name", "a name has letters, digits and .-_ only: it names files")
    }
    days = try root.number("days", in: 1 / 86_400...366) ?? 7
    every = try root.duration("every", in: .seconds(1) ... .seconds(86_400)) ?? .seconds(300)
    timeout = try root.duration("timeout", in: .milliseconds(10) ... .seconds(600)) ?? .seconds(60)
    warm = try root.flag("warm") ?? false
    clock = try root.text("clock", maxLength: 2048)
    if let clock {
      do { _ = try Endpoint(clock) } catch { throw root.error("clock", error.description) }
    }
    prompt = try reader.prompt()
    limits = try reader.limits()
    let regions = try RegionReader(root, key: "regions").regions()
    sources = try reader.sources(regions)
    targets = try reader.targets(regions, sources: sources)
    try root.finish()
    let slots = days * 86_400 / every.inSeconds
    guard slots * Double(targets.count) <= 10_000_000 else {
      throw root.error("every", "more than 10000000 probes for each source", hint: "probe less often")
    }
    text = document.canonicalText
    fingerprint = document.split(Self.ownKeys).others.canonicalText.fingerprint
  }
}

extension String {
  /// The first 64 bits of SHA-256, hexadecimal.
  package var fingerprint: String {
    SHA256.hash(data: Array(utf8)).prefix(8).map { byte in
      let text = String(byte, radix: 16)
      return text.count == 1 ? "0" + text : text
    }.joined()
  }
}

/// The parts of a campaign's file.
private struct CampaignReader {
  let root: YAMLSection

  func prompt() throws(YAMLError) -> Campaign.Prompt {
    guard let section = try root.section("prompt") else {
      return Campaign.Prompt(text: Self.usualPrompt, maxTokens: 32, temperature: 0, nonce: true)
    }
    return Campaign.Prompt(
      text: try section.text("text", maxLength: 100_000) ?? Self.usualPrompt,
      maxTokens: try section.integer("max-tokens", in: 1...4096) ?? 32,
      temperature: try section.number("temperature", in: 0...2) ?? 0,
      nonce: try section.flag("nonce") ?? true)
  }

  private static let usualPrompt = "Explain in a few sentences why the sky is blue."

  func limits() throws(YAMLError) -> Campaign.Limits {
    var limits = Campaign.Limits()
    guard let section = try root.section("limits") else { return limits }
    limits.concurrency = try section.integer("concurrency", in: 1...10_000) ?? limits.concurrency
    limits.maxRequests = try section.integer("max-requests", in: 1...1_000_000_000)
    limits.maxUSD = try section.number("max-usd", in: 0...1e9)
    return limits
  }

  func sources(_ regions: RegionReader.Regions) throws(YAMLError) -> [Campaign.Source] {
    let list = try root.list("sources", maxCount: 1000) {
      (value) throws(YAMLError) -> (Campaign.Source, YAMLValue) in
      if value.kind != .mapping {
        let name = try value.text(maxLength: 100)
        return (Campaign.Source(region: try regions.region(name, at: value), localAddress: nil), value)
      }
      let section = try value.section()
      let name = try section.required("region", section.text("region", maxLength: 100))
      let address = try section.text("local-address", maxLength: 100)
      if let address, !Self.isAddress(address) {
        throw section.error("local-address", "\"\(address)\" is not an IP address")
      }
      return (Campaign.Source(region: try regions.region(name, at: value), localAddress: address), value)
    }
    let sources = try root.required("sources", list)
    var seen: Set<String> = []
    for (source, value) in sources where !seen.insert(source.name).inserted {
      throw value.error("the source \(source.name) is there twice", hint: "remove one")
    }
    guard !sources.isEmpty else { throw root.error("sources", "a campaign has a source at least") }
    return sources.map(\.0)
  }

  static func isAddress(_ text: String) -> Bool {
    var four = in_addr()
    var six = in6_addr()
    return inet_pton(AF_INET, text, &four) == 1 || inet_pton(AF_INET6, text, &six) == 1
  }

  func targets(_ regions: RegionReader.Regions, sources: [Campaign.Source]) throws(YAMLError) -> [Target] {
    guard let list = try root.sections("targets", maxCount: 1000), !list.isEmpty else {
      throw root.error(
        "targets", "a campaign has a target at least",
        hint: "add \"targets:\" with a list of {name, region, api, url, model}")
    }
    var targets: [Target] = []
    for section in list {
      let target = try self.target(section, regions, sources: sources)
      if targets.contains(where: { $0.name == target.name }) {
        throw section.error("name", "the target \(target.name) is there twice", hint: "give one another name")
      }
      if let same = targets.first(where: {
        $0.url == target.url && $0.model == target.model && $0.api == target.api
      }) {
        throw section.error(
          "name", "\(target.name) and \(same.name) overlap: same url, model and api",
          hint: "one target is probed from all sources; remove one")
      }
      targets.append(target)
    }
    return targets
  }

  private func target(
    _ section: YAMLSection, _ regions: RegionReader.Regions, sources: [Campaign.Source]
  ) throws(YAMLError) -> Target {
    guard let place = section.value("region") else {
      throw section.error(nil, "\(section.path) needs \"region\"", hint: "add \"region:\"")
    }
    let region = try regions.region(place.text(maxLength: 100), at: place)
    let name = try section.text("name", maxLength: 100) ?? region.name
    guard name.wholeMatch(of: /[A-Za-z0-9][A-Za-z0-9._:-]*/) != nil else {
      throw section.error("name", "a target's name has letters, digits and .:-_ only")
    }
    let api = try section.required("api", section.choice("api", Target.API.self))
    let model = try section.required("model", section.text("model", maxLength: 2048))
    if api.isBedrock {
      do { _ = try BedrockModelID(model) } catch { throw section.error("model", error.description) }
    }
    let url = try section.text("url", maxLength: 2048)
    guard let url = url ?? (api.isBedrock ? "https://bedrock-runtime.\(region.name).amazonaws.com" : nil)
    else {
      throw section.error(
        nil, "\(section.path) needs \"url\"", hint: "add \"url:\", for example https://api.example.com/v1")
    }
    do { for source in sources { _ = try Endpoint(url.replacing("{source}", with: source.name)) } } catch {
      throw section.error("url", "\(section.path).url: \(error)")
    }
    return Target(
      name: name, region: region, api: api, url: url, model: model,
      authentication: try authentication(section, api), price: try price(section),
      certificateAuthority: try section.text("ca", maxLength: 4096))
  }

  private func price(_ section: YAMLSection) throws(YAMLError) -> Target.Price {
    guard let price = try section.section("price") else { return Target.Price() }
    return Target.Price(
      input: try price.number("input", in: 0...1e6) ?? 0, output: try price.number("output", in: 0...1e6) ?? 0
    )
  }

  private enum Kind: String, CaseIterable { case none, bearer, sigv4 }

  private func authentication(
    _ section: YAMLSection, _ api: Target.API
  ) throws(YAMLError) -> Target.Authentication {
    let variable = try section.text("key-variable", maxLength: 200)
    let profile = try section.text("profile", maxLength: 200)
    let kind =
      try section.choice("auth", Kind.self) ?? (variable != nil ? .bearer : api.isBedrock ? .sigv4 : .none)
    if let variable, variable.wholeMatch(of: /[A-Za-z_][A-Za-z0-9_]*/) == nil {
      throw section.error(
        "key-variable", "the key's environment variable has letters, digits and _ only",
        hint: "write the variable's name here, never the key itself")
    }
    if kind != .bearer, variable != nil { throw section.error("key-variable", "only auth: bearer has a key") }
    if kind != .sigv4, profile != nil { throw section.error("profile", "only auth: sigv4 has a profile") }
    switch kind {
    case .none: return .none
    case .bearer:
      return .bearer(variable: variable ?? (api.isBedrock ? "AWS_BEARER_TOKEN_BEDROCK" : "OPENAI_API_KEY"))
    case .sigv4:
      guard api.isBedrock else {
        throw section.error("auth", "sigv4 is for bedrock-invoke and bedrock-converse")
      }
      return .signature(profile: profile)
    }
  }
}
