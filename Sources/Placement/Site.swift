import Foundation
import StrictYAML
import StudyAnalysis

extension PlanFile {
  /// A place where a target or a worker may stand.
  public struct Site: Sendable, Hashable {
    public var region: Region
    /// Whether a target may stand here, and whether a worker may.
    public var isController: Bool
    public var isWorker: Bool
    /// USD for an hour of what the target runs on, and of what a draft model runs on here.
    public var targetPrice: Double
    public var draftPrice: Double
    /// When passes take longer here, because of other work.
    public var busy: [Spell]
    /// A file with pass times; a measured time per token of plain decoding.
    var profile: YAMLNode?
    var plain: Duration?
    /// Pass times that go ahead of the profile's.
    var target: YAMLNode?
    var draft: YAMLNode?
    /// What differs from the scenario for a controller here, and for a worker here.
    var controllerChanges: YAMLNode?
    var workerChanges: YAMLNode?
    /// Of the site in the file.
    var place: YAMLPlace

    public var name: String { region.name }
  }

  /// Hours of every day during which passes take longer.
  public struct Spell: Sendable, Hashable {
    /// Local hours from 0: the first, and the first that is no longer meant. They may go over midnight.
    public var from: Int
    public var to: Int
    /// How many times as long a pass takes: of the target, of a draft model.
    public var target: Double
    public var draft: Double

    func contains(_ hour: Int) -> Bool {
      from < to ? (from..<to).contains(hour) : hour >= from || hour < to
    }
  }
}

extension PlanFile.Site {
  /// Keys of a scenario that may differ by site. Hardware has keys of its own; links belong to pairs.
  private static let controllerKeys: Set<String> = [
    "controller", "contention", "draft-contention", "step-overhead", "sessions", "shares-target",
  ]
  private static let workerKeys: Set<String> = ["worker", "link"]

  init(_ section: YAMLSection, _ regions: RegionReader.Regions) throws(YAMLError) {
    guard let value = section.value("region") else {
      throw section.error(nil, "\(section.path) needs \"region\"", hint: "add \"region:\"")
    }
    region = try regions.region(value.text(maxLength: 100), at: value)
    place = section.place
    isController = try section.flag("controller") ?? false
    isWorker = try section.flag("worker") ?? false
    for key in ["target", "target-price", "plain", "controller-changes"]
    where isWorker && !isController && section.has(key) {
      throw section.error(
        key, "\(section.path): \"\(key)\" has no effect: no target stands at \(region.name)",
        hint: "remove it, or set \"controller: true\"")
    }
    if isController, !isWorker, section.has("worker-changes") {
      throw section.error(
        "worker-changes",
        "\(section.path): \"worker-changes\" has no effect: no worker stands at \(region.name)",
        hint: "remove it, or set \"worker: true\"")
    }
    targetPrice = try section.number("target-price", in: 0...1e6) ?? 0
    draftPrice = try section.number("draft-price", in: 0...1e6) ?? 0
    busy = try Self.spells(section)
    _ = try section.text("profile")
    profile = section.value("profile")?.node
    plain = try section.duration("plain", in: SiteHardware.plainRange)
    target = try Self.mapping(section, "target", allowed: ["pass", "prefill"])
    draft = try Self.mapping(section, "draft", allowed: ["pass", "prefill"])
    controllerChanges = try Self.mapping(section, "controller-changes", allowed: Self.controllerKeys)
    workerChanges = try Self.mapping(section, "worker-changes", allowed: Self.workerKeys)
  }

  /// - Throws: for a site at which nothing may stand
  func checkRole() throws(YAMLError) {
    guard isController || isWorker else {
      throw YAMLError(
        place, "the site \(name) has neither a target nor a worker",
        hint: "set \"controller: true\", \"worker: true\" or both")
    }
  }

  /// A mapping that is laid over the scenario later; what is in its values is checked there.
  private static func mapping(
    _ section: YAMLSection, _ key: String, allowed: Set<String>
  ) throws(YAMLError) -> YAMLNode? {
    guard let value = section.value(key) else { return nil }
    let mapping = try value.section()
    // In the order of the alphabet: a set has none that is the same each time.
    for name in allowed.sorted() { _ = mapping.value(name) }
    try mapping.finish()
    return value.node
  }

  private static func spells(_ section: YAMLSection) throws(YAMLError) -> [PlanFile.Spell] {
    var spells: [PlanFile.Spell] = []
    for entry in try section.sections("busy", maxCount: 24) ?? [] {
      let spell = PlanFile.Spell(
        from: try entry.required("from", entry.integer("from", in: 0...23)),
        to: try entry.required("to", entry.integer("to", in: 1...24)),
        target: try entry.number("target", in: 1...100) ?? 1,
        draft: try entry.number("draft", in: 1...100) ?? 1)
      guard spell.from != spell.to else {
        throw entry.error(
          "to", "\(entry.path): a spell from \(spell.from) to \(spell.to) has no hours",
          hint: "a whole day is from 0 to 24")
      }
      guard entry.has("target") || entry.has("draft") else {
        throw entry.error(
          nil, "\(entry.path) needs \"target\" or \"draft\": how many times as long passes take",
          hint: "add \"target: 1.5\"")
      }
      if let hour = (0..<24).first(where: { hour in
        spell.contains(hour) && spells.contains { $0.contains(hour) }
      }) {
        throw entry.error(
          "from", "\(entry.path): the hour \(hour) is in two spells", hint: "let them not overlap")
      }
      spells.append(spell)
    }
    return spells
  }

  /// How many times as long passes take in an hour of the day (UTC).
  ///
  /// - Parameter date: decides about summer time. Where an hour here is half of one and half of another there, the
  ///   middle counts.
  func slowdown(utcHour: Int, at date: Date) -> (target: Double, draft: Double) {
    guard !busy.isEmpty else { return (1, 1) }
    let local = Int((Double(utcHour) + 0.5 + region.utcOffset(at: date) + 48).rounded(.down)) % 24
    guard let spell = busy.first(where: { $0.contains(local) }) else { return (1, 1) }
    return (spell.target, spell.draft)
  }
}
