import Foundation
import SpeculationCore
import StrictYAML

/// A declarative experiment: a deployment, variants of it, and the parameters to sweep over.
///
/// docs/simulator.md lists the keys. Every combination of the sweep's values is one point for each variant, all
/// are read and checked before the first one runs.
public struct Scenario: Sendable {
  public struct Axis: Sendable, Hashable {
    /// Dotted path of the key that is swept.
    public var path: String
    public var values: [YAMLNode]
  }

  public struct Variant: Sendable {
    public var name: String
    var changes: YAMLNode?
    /// Settings to try, of which the best counts: a baseline at its best.
    var bestOf: [Axis]
  }

  /// A chart that the report shows.
  public struct ChartRequest: Sendable, Hashable {
    public enum Kind: String, CaseIterable, Sendable { case line, frontier, bars, timeline }
    public var kind: Kind
    public var title: String
    /// Columns of the results.
    public var x: String
    public var y: String
    /// Variants to show; empty: all.
    public var variants: [String]
    /// Of a timeline, from the start of the first text.
    public var from: Duration
    public var to: Duration
  }

  /// One run: a variant at one place of the sweep.
  public struct Point: Sendable {
    public var variant: String
    /// The swept values, as written.
    public var place: [(path: String, value: String)]
    /// What `bestOf` chose among; empty without.
    public var choice: [(path: String, value: String)]
    public var setup: Setup
    /// Everything the result depends on, in one canonical text.
    public var identity: String
  }

  public var name: String
  public var title: String
  public var about: String
  public var seed: UInt64
  public var variants: [Variant]
  public var sweep: [Axis]
  public var charts: [ChartRequest]
  public var points: [Point]

  public static let maxPoints = 20_000

  /// - Parameters:
  ///   - settings: `--set`: paths and values that replace what the file says
  public static func read(
    _ path: String, settings: [(path: String, value: String)] = []
  ) throws(YAMLError) -> Scenario {
    try Scenario(
      try YAMLDocument.read(path, kind: ("a scenario", "name: fast")), settings,
      folder: URL(fileURLWithPath: path).deletingLastPathComponent())
  }

  public init(
    _ document: YAMLDocument, _ settings: [(path: String, value: String)] = [], folder: URL
  ) throws(YAMLError) {
    var document = document
    for setting in settings { try document.set(setting.path, to: setting.value) }
    let (head, body) = document.split(["name", "title", "about", "sweep", "variants", "charts"])
    let root = head.root
    name = try root.required("name", try root.text("name", maxLength: 100))
    guard name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }) else {
      throw root.error("name", "a name has only letters, digits, \"-\", \"_\" and \".\": it names files")
    }
    title = try root.text("title", maxLength: 200) ?? name
    about = try root.text("about") ?? ""
    sweep = try Self.axes(try root.section("sweep"))
    variants = try Self.variants(root)
    charts = try Self.charts(root, variants.map(\.name))
    try root.finish()
    seed = UInt64(try ScenarioKeys.seed.value(body.root))
    points = []
    let reader = SetupReader(folder: folder)
    for variant in variants {
      var varied = body
      if let changes = variant.changes { try varied.merge(changes) }
      for place in Self.combinations(sweep) {
        for choice in Self.combinations(variant.bestOf) {
          guard points.count < Self.maxPoints else {
            throw root.error(
              "sweep", "the scenario has more than \(Self.maxPoints) runs", hint: "sweep fewer values")
          }
          points.append(try Self.point(variant, varied, place, choice, reader))
        }
      }
    }
  }

  private static func point(
    _ variant: Variant, _ document: YAMLDocument, _ place: [(path: String, node: YAMLNode)],
    _ choice: [(path: String, node: YAMLNode)], _ reader: SetupReader
  ) throws(YAMLError) -> Point {
    var document = document
    for (path, node) in place + choice { try document.set(path, to: node) }
    let root = document.root
    let setup = try reader.setup(root)
    try root.finish()
    return Point(
      variant: variant.name, place: place.map { ($0.path, $0.node.text) },
      choice: choice.map { ($0.path, $0.node.text) }, setup: setup,
      identity: document.canonicalText + reader.fingerprints(root))
  }

  private static func variants(_ root: YAMLSection) throws(YAMLError) -> [Variant] {
    var variants: [Variant] = []
    for section in try root.sections("variants", maxCount: 100) ?? [] {
      let name = try section.required("name", try section.text("name", maxLength: 100))
      guard !variants.contains(where: { $0.name == name }) else {
        throw section.error("name", "there are two variants with the name \"\(name)\"")
      }
      variants.append(
        Variant(
          name: name, changes: section.value("changes")?.node,
          bestOf: try Self.axes(try section.section("best-of"))))
    }
    return variants.isEmpty ? [Variant(name: "run", changes: nil, bestOf: [])] : variants
  }

  private static func axes(_ section: YAMLSection?) throws(YAMLError) -> [Axis] {
    guard let section else { return [] }
    var axes: [Axis] = []
    for key in section.keys {
      let nodes = try section.list(key, maxCount: 1000) { (value) throws(YAMLError) in value.node } ?? []
      guard !nodes.isEmpty else { throw section.error(key, "a sweep over no values") }
      axes.append(Axis(path: key, values: nodes))
    }
    return axes
  }

  private static func combinations(_ axes: [Axis]) -> [[(path: String, node: YAMLNode)]] {
    axes.reduce([[]]) { all, axis in
      all.flatMap { place in axis.values.map { place + [(axis.path, $0)] } }
    }
  }

  private static func charts(
    _ root: YAMLSection, _ variants: [String]
  ) throws(YAMLError) -> [ChartRequest] {
    var charts: [ChartRequest] = []
    for section in try root.sections("charts", maxCount: 50) ?? [] {
      let kind: ChartRequest.Kind = try section.required("kind", try section.choice("kind"))
      let shown = try section.list("variants", maxCount: 100) { (value) throws(YAMLError) in
        let name = try value.text()
        guard variants.contains(name) else {
          throw value.error(
            "there is no variant \"\(name)\"", hint: "variants: \(variants.joined(separator: ", "))")
        }
        return name
      }
      charts.append(
        ChartRequest(
          kind: kind, title: try section.text("title", maxLength: 200) ?? "",
          x: try section.text("x") ?? "", y: try section.text("y") ?? "ms/token", variants: shown ?? [],
          from: try section.duration("from") ?? .zero, to: try section.duration("to") ?? .milliseconds(500)))
    }
    return charts
  }
}
