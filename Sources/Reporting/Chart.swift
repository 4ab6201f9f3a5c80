/// A picture of a table's rows, as a Vega-Lite specification.
///
/// The builders (`Chart.line`, `.frontier`, `.bars`, `.timeline`, `.heatMap`, `.reliability`) take a table and the
/// names of its columns; headings and units come from the columns, tooltips are on every mark, and colours are
/// told apart without red-green vision.
public struct Chart: Sendable, Equatable {
  public var title: String
  /// What the reader sees in it, shown below the chart.
  public var caption: String
  /// What is special about how these data are drawn; follows the caption.
  var note: String?
  /// What its figures are, by their headings.
  var meanings: [Meaning] = []
  /// The specification as JSON. The same chart always gives the same bytes.
  public let spec: String

  /// A chart from a Vega-Lite specification written by hand. It must hold its data: a page loads nothing.
  public init(title: String, caption: String, spec: String) {
    self.title = title
    self.caption = caption
    // Outside its strings, JSON has no `<`; inside them the escape means the same.
    self.spec = spec.replacing("<", with: "\\u003c")
  }

  init(title: String, caption: String, note: String? = nil, data: ChartData, spec: JSON) {
    self.title = title
    self.caption = caption
    self.note = note
    meanings = data.meanings
    self.spec = spec.text
  }

  /// What a figure is.
  struct Meaning: Sendable, Equatable {
    var heading: String
    var text: String

    init?(_ column: DataTable.Column) {
      guard let text = column.meaning else { return nil }
      heading = column.heading
      self.text = text
    }
  }

  /// The same chart with a caption of its own.
  public func captioned(_ caption: String) -> Chart {
    var chart = self
    chart.caption = caption
    return chart
  }

  /// Width and height of the plotted area, in pixels.
  public struct Size: Sendable, Equatable {
    public var width: Int
    public var height: Int

    public init(width: Int, height: Int) {
      self.width = width
      self.height = height
    }

    /// The width of the page's text.
    public static let wide = Size(width: 800, height: 300)
    /// Two fit side by side.
    public static let half = Size(width: 350, height: 260)
    /// For both axes of one kind.
    public static let square = Size(width: 320, height: 320)
  }

  /// A column along an axis.
  public struct Axis: Sendable, Equatable, ExpressibleByStringLiteral {
    public enum Scale: Sendable { case linear, logarithmic }

    public var column: String
    public var scale: Scale
    /// The shown range; nil: that of the data.
    public var domain: ClosedRange<Double>?
    /// Whether a linear axis begins at zero; nil: vertical axes do, horizontal ones do not.
    public var fromZero: Bool?

    public init(
      _ column: String, scale: Scale = .linear, domain: ClosedRange<Double>? = nil, fromZero: Bool? = nil
    ) {
      self.column = column
      self.scale = scale
      self.domain = domain
      self.fromZero = fromZero
    }

    public init(stringLiteral value: String) { self.init(value) }

    /// A logarithmic axis. Values that are not above zero are left out.
    public static func log(_ column: String) -> Axis { Axis(column, scale: .logarithmic) }
  }

  /// The columns with the lower and the upper end of an interval around each value.
  public struct Interval: Sendable, Equatable {
    public var low: String
    public var high: String

    public init(low: String, high: String) {
      self.low = low
      self.high = high
    }
  }

  /// A horizontal line to compare with.
  public struct ReferenceRule: Sendable, Equatable {
    public var value: Double
    public var label: String

    public init(at value: Double, label: String) {
      self.value = value
      self.label = label
    }
  }
}
