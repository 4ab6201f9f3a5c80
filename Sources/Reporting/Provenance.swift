/// What made a chart: everything that it takes to make it again.
public struct Provenance: Sendable, Equatable {
  public var scenario: String?
  public var seed: UInt64?
  /// The program and its version, for example "wanspec 0.3.0 (1a2b3c4)".
  public var version: String
  /// The command line.
  public var command: String
  /// Further facts, one a line: machine, models, date of a recording.
  public var lines: [String]

  public init(
    scenario: String? = nil, seed: UInt64? = nil, version: String, command: String, lines: [String] = []
  ) {
    self.scenario = scenario
    self.seed = seed
    self.version = version
    self.command = command
    self.lines = lines
  }

  /// One line for under a chart, without the command: scenario, seed, version.
  var summary: String {
    [scenario.map { "scenario \($0)" }, seed.map { "seed \($0)" }, version]
      .compactMap { $0 }.joined(separator: " · ")
  }

  /// All of it as text lines, for pictures outside the page.
  var allLines: [String] { ["made by: \(summary)", command] + lines }
}
