extension Chart {
  public enum Curve: Sendable {
    case straight
    /// Each value holds until the next, as in a distribution function.
    case steps
  }

  /// How a quantity changes with another: one line a series, its points in the order of x.
  ///
  /// A line that lies on another one is dashed, so that both are seen.
  ///
  /// - Parameters:
  ///   - x: a quantity or, as text, categories in the order of the rows
  ///   - series: the column that tells the lines apart
  ///   - known: all series of the page, in the order of their colours; each keeps its colour in every chart
  ///   - band: the interval around each line, for example between quartiles
  ///   - tooltip: further columns that tooltips tell
  /// - Precondition: the table has the columns.
  public static func line(
    _ table: DataTable, title: String, subtitle: String? = nil, x: Axis, y: Axis, series: String? = nil,
    among known: [String] = [], band: Interval? = nil, rules: [ReferenceRule] = [], curve: Curve = .straight,
    tooltip: [String] = [], size: Size = .wide
  ) -> Chart {
    var data = ChartData(table)
    let group = series.map { data.series($0, among: known) }
    let color = group?.color(width: size.width)
    let across = data.field("x", x)
    let up = data.field("y", y)
    let hidden = series.map { CoincidingLines(table, x: x, y: y, series: $0) }
    let encoding: JSON = ["x": across.position(x, zero: false), "y": up.position(y, zero: true)]
    var layers: [JSON] = []
    if let band {
      _ = data.field("l", band.low, positive: y.scale == .logarithmic)
      _ = data.field("h", band.high, positive: y.scale == .logarithmic)
      layers.append([
        "name": "bands",
        "mark": ["type": "area", "opacity": 0.18, "color": Style.palette[0]],
        "encoding": encoding.adding([
          "y": up.position(y, zero: true, as: "l"), "y2": ["field": "h"], "color": color,
        ]),
      ])
    }
    data.tooltips(tooltip)
    layers.append(
      lineLayer(
        encoding, color: color, dash: group?.dashes(hidden?.depths ?? [:]),
        mark: curve == .steps ? ["interpolate": "step-after"] : [:]))
    if let group, let hidden, !hidden.pairs.isEmpty { data.add("d", group.depths(hidden.depths, in: table)) }
    layers.append(pointLayer(encoding, series: group, color: color, data: data))
    layers += referenceLayers(rules, y: up.position(y, zero: true))
    let lines = series.map { ", a line for each \(table.heading($0))" } ?? ""
    return Chart(
      title: title,
      caption: "\(table.heading(y.column)) against \(table.heading(x.column))\(lines).",
      note: hidden?.note, data: data,
      spec: specification(
        title: title, subtitle: subtitle, data: data, size: size, ["layer": .array(layers)]))
  }

  /// What a parameter trades: both axes are results, the points of a series are joined in the order of the
  /// parameter.
  ///
  /// - Parameters:
  ///   - known: all series of the page, in the order of their colours
  ///   - parameter: the column with the numbers that the points are joined in the order of
  ///   - label: the column with the text beside each point; nil: the parameter
  ///   - better: where good points lie, for example "down and left", said under the title
  /// - Precondition: the table has the columns.
  public static func frontier(
    _ table: DataTable, title: String, x: Axis, y: Axis, series: String? = nil, among known: [String] = [],
    parameter: String, label: String? = nil, better: String? = nil, rules: [ReferenceRule] = [],
    tooltip: [String] = [], size: Size = .wide
  ) -> Chart {
    var data = ChartData(table)
    let group = series.map { data.series($0, among: known) }
    let color = group?.color(width: size.width)
    let across = data.field("x", x)
    let up = data.field("y", y)
    let order = data.field("o", parameter)
    let text = label.map { data.field("n", $0, category: true, shown: $0 != parameter) } ?? order
    data.tooltips(tooltip)
    let encoding: JSON = ["x": across.position(x, zero: false), "y": up.position(y, zero: true)]
    var layers: [JSON] = [
      lineLayer(
        encoding, color: color, order: ["field": "o", "type": "quantitative"],
        mark: ["opacity": 0.7]),
      pointLayer(encoding, series: group, color: color, data: data),
    ]
    if data.rowCount <= mostVisiblePoints {
      layers.append([
        "name": "labels",
        "mark": ["type": "text", "align": "left", "dx": 7, "dy": -7, "fontSize": 11, "color": Style.ink],
        "encoding": encoding.adding(["text": ["field": .string(text.key), "type": "nominal"]]),
      ])
    }
    layers += referenceLayers(rules, y: up.position(y, zero: true))
    return Chart(
      title: title,
      caption: "\(table.heading(y.column)) against \(table.heading(x.column)); beside each point its "
        + "\(table.heading(label ?? parameter)).",
      data: data,
      spec: specification(
        title: title, subtitle: better.map { "Better: \($0)." }, data: data, size: size,
        ["layer": .array(layers)]))
  }
}

extension DataTable {
  /// - Precondition: there is such a column.
  func heading(_ column: String) -> String { columns[index(of: column)].heading }
}

extension ChartData.Field {
  private static let patterns: [JSON] = [[1, 0], [7, 5], [2, 6]]

  /// Solid for lines of their own, with gaps for those that lie on others; nil where all are solid.
  func dashes(_ depths: [String: Int]) -> JSON? {
    guard !depths.isEmpty else { return nil }
    let range = names.map { Self.patterns[min(depths[$0] ?? 0, Self.patterns.count - 1)] }
    return [
      "field": .string(key), "type": "nominal", "title": heading,
      "scale": ["domain": .array(names.map { .string($0) }), "range": .array(range)],
    ]
  }

  /// For each row how many lines its own lies on.
  func depths(_ depths: [String: Int], in table: DataTable) -> [JSON] {
    let index = table.index(of: column.name)
    return table.rows.map { .number(Double($0[index].name.flatMap { depths[$0] } ?? 0)) }
  }
}
