import Foundation
import Simulator
import SpeculationTesting
import SplitMix
import StrictYAML
import Testing

@Suite struct YAMLFuzzTests {
  private static let seedText = """
    # A scenario
    name: "fu\\u00e9zz"
    seed: 12
    link: {rtt: 50ms, loss: 85%, rate: 100Mbit/s}
    workers:
      - count: 2
        gate: never
        mode: tree
      - {count: 1_0, gate: {entropy: 1.0e0}}
    text: |
      one
      two
    empty: ~
    'quoted ''key''': [1, 2.5, -3, .inf, 1e999]
    """

  /// Asks for everything as everything.
  private static func readAll(_ section: YAMLSection, depth: Int = 0) throws {
    for key in section.keys + ["rtt"] {
      guard let value = section.value(key) else { continue }
      try readAll(value, depth: depth)
    }
    _ = description { try section.finish() }
  }

  private static func readAll(_ value: YAMLValue, depth: Int) throws {
    let attempts: [() throws -> Void] = [
      { _ = try value.text(maxLength: 5) }, { _ = try value.flag() }, { _ = try value.integer(in: -5...5) },
      { _ = try value.number(in: 0...1, percent: true) },
      { _ = try value.number(in: -.infinity ... .infinity) },
      { _ = try value.duration() }, { _ = try value.rate() }, { _ = try value.choice(Mode.self) },
    ]
    for attempt in attempts {
      do { try attempt() } catch let error as YAMLError {
        try #require(!error.message.isEmpty && !error.message.contains("\n"))
        try #require(error.file != "s.yaml" || error.line != nil)
      }
    }
    switch value.kind {
    case .mapping: try readAll(value.section(), depth: depth + 1)
    case .list:
      let elements = try value.list(maxCount: 20_000) { $0 }
      for element in elements { try readAll(element, depth: depth + 1) }
    case .empty, .scalar: break
    }
  }

  @Test func mutatedDocumentsNeverCrash() throws {
    let pieces = [
      "\n", "  ", "\t", ":", ": ", "- ", "[", "]", "{", "}", ",", "\"", "'", "|", ">", "&x ", "*x", "!!str ",
      "? ", "#", "%",
      "---\n", "...\n", "\\", "\\x", "\\U0010FFFF", "\0", "\u{FEFF}", "\u{FFFFD}", "\u{85}", "é", "\u{301}",
      "1e9", "-", ".",
      "99999999999999999999", "ms", "0", "<<: ", "~", "name: ", "\r", "\r\n", "@", "`",
    ]
    var accepted = 0
    try forEachSeed(count: 2_500) { seed in
      var random = SplitMix64(seed: seed)
      var scalars = Array(Self.seedText.unicodeScalars)
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let at = Int.random(in: 0...scalars.count, using: &random)
        let end = min(scalars.count, at + Int.random(in: 0...12, using: &random))
        switch Int.random(in: 0..<5, using: &random) {
        case 0: scalars.removeSubrange(at..<end)
        case 1:
          scalars.insert(contentsOf: scalars[at..<end], at: Int.random(in: 0...scalars.count, using: &random))
        case 2 where random.chance(0.05): scalars.removeSubrange(at...)
        default: scalars.insert(contentsOf: pieces.randomElement(using: &random)!.unicodeScalars, at: at)
        }
      }
      var text = String.UnicodeScalarView()
      text.append(contentsOf: scalars)
      do {
        var parsed = try YAMLDocument(parsing: String(text), name: "s.yaml")
        accepted += 1
        try Self.readAll(parsed.root)
        let canonical = parsed.canonicalText
        try #require(try document(canonical).canonicalText == canonical)
        try parsed.merge(parsed.node)
        try #require(parsed.canonicalText == canonical)
        let pick = Int.random(in: 0..<max(1, scalars.count - 20), using: &random)
        let value = String(String.UnicodeScalarView(scalars[pick..<min(scalars.count, pick + 20)]))
        _ = description { try parsed.set("workers.0.link.x", to: value) }
        _ = description { try parsed.set(value, to: "{a: 1}") }
        try Self.readAll(parsed.root)
      } catch let error as YAMLError {
        try #require(error.file == "s.yaml" && !error.message.isEmpty)
      }
    }
    #expect(
      accepted > 200 || accepted > 0 && ProcessInfo.processInfo.environment["WANSPEC_TEST_SEEDS"] != nil)
  }
}
