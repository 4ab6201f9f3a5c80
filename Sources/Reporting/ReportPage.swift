/// One result as one page: what was found, then the charts, tables and text that show it.
public struct ReportPage: Sendable {
  /// A sentence that a reader should take away, with a figure set large if it has one.
  public struct Finding: Sendable, Equatable, ExpressibleByStringLiteral {
    /// For example "1.7×".
    public var figure: String?
    public var sentence: String

    public init(_ figure: String? = nil, _ sentence: String) {
      self.figure = figure
      self.sentence = sentence
    }

    public init(stringLiteral value: String) { self.init(nil, value) }
  }

  public enum Block: Sendable, Equatable {
    /// Paragraphs, divided by empty lines.
    case text(String)
    /// Text whose line breaks and spaces count.
    case preformatted(String)
    /// A chart; `provenance` if another than the page's made it. Charts of half width stand side by side when
    /// they follow each other.
    case chart(Chart, provenance: Provenance? = nil)
    /// A table, of which at most `rows` rows are shown.
    case table(DataTable, caption: String? = nil, rows: Int = 50)
  }

  public struct Section: Sendable, Equatable {
    public var title: String
    public var blocks: [Block]

    public init(_ title: String, _ blocks: [Block]) {
      self.title = title
      self.blocks = blocks
    }
  }

  public var title: String
  public var subtitle: String?
  public var findings: [Finding]
  public var sections: [Section]
  /// What made the charts that do not say otherwise.
  public var provenance: Provenance
  /// The most bytes that the page may have.
  public var sizeLimit = 5_000_000

  public init(
    title: String, subtitle: String? = nil, findings: [Finding] = [], sections: [Section] = [],
    provenance: Provenance
  ) {
    self.title = title
    self.subtitle = subtitle
    self.findings = findings
    self.sections = sections
    self.provenance = provenance
  }

  var chartCount: Int {
    sections.reduce(0) { count, section in
      count + section.blocks.count { if case .chart = $0 { true } else { false } }
    }
  }
}
