extension Chart {
  public enum Curve: Sendable {
    case straight
    /// Each value holds until the next, as in a distribution function.
    case steps
  }

  /// How a quantity changes with another: one line a series, its points in the order of x.
  ///
  /// - Parameters:
  ///   - x: a quantity or, as text, categories in the order of the rows
  ///   - series: the column that tells the lines apart
  ///   - band: the interval around each line, for example between quartiles
  ///   - tooltip: further columns that tooltips tell
  /// - Precondition: the table has the columns.
  public static func line(
    _ table: DataTable, title: String, subtitle: String? = nil, x: Axis, y: Axis, series: String? = nil,
    band: Interval? = nil, rules: [ReferenceRule] = [], curve: Curve = .straight, tooltip: [String] = [],
    size: Size = .wide
  ) -> Chart {
    var data = ChartData(table)
    let group = series.map { data.field("s", $0, category: true) }
    let across = data.field("x", x)
    let up = data.field("y", y)
    let encoding: JSON = ["x": across.position(x, zero: false), "y": up.position(y, zero: true)]
    var layers: [JSON] = []
    if let band {
      _ = data.field("l", band.low, positive: y.scale == .logarithmic)
      _ = data.field("h", band.high, positive: y.scale == .logarithmic)
      layers.append([
        "name": "bands",
        "mark": ["type": "area", "opacity": 0.18, "color": Style.palette[0]],
        "encoding": encoding.adding([
          "y": up.position(y, zero: true, as: "l"), "y2": ["field": "h"], "color": group?.color,
        ]),
      ])
    }
    data.tooltips(tooltip)
    layers.append(
      lineLayer(encoding, color: group?.color, mark: curve == .steps ? ["interpolate": "step-after"] : [:]))
    layers.append(pointLayer(encoding, series: group, data: data))
    layers += referenceLayers(rules, y: up.position(y, zero: true))
    return Chart(
      title: title,
      spec: specification(
        title: title, subtitle: subtitle, data: data, size: size, ["layer": .array(layers)]))
  }

  /// What a parameter trades: both axes are results, the points of a series are joined in the order of the
  /// parameter.
  ///
  /// - Parameters:
  ///   - parameter: the column with the numbers that the points are joined in the order of
  ///   - label: the column with the text beside each point; nil: the parameter
  ///   - better: where good points lie, for example "down and left", said under the title
  /// - Precondition: the table has the columns.
  public static func frontier(
    _ table: DataTable, title: String, x: Axis, y: Axis, series: String? = nil, parameter: String,
    label: String? = nil, better: String? = nil, rules: [ReferenceRule] = [], tooltip: [String] = [],
    size: Size = .wide
  ) -> Chart {
    var data = ChartData(table)
    let group = series.map { data.field("s", $0, category: true) }
    let across = data.field("x", x)
    let up = data.field("y", y)
    let order = data.field("o", parameter)
    let text = label.map { data.field("n", $0, category: true, shown: $0 != parameter) } ?? order
    data.tooltips(tooltip)
    let encoding: JSON = ["x": across.position(x, zero: false), "y": up.position(y, zero: true)]
    var layers: [JSON] = [
      lineLayer(
        encoding, color: group?.color, order: ["field": "o", "type": "quantitative"],
        mark: ["opacity": 0.7]),
      pointLayer(encoding, series: group, data: data),
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
      spec: specification(
        title: title, subtitle: better.map { "Better: \($0)." }, data: data, size: size,
        ["layer": .array(layers)]))
  }
}
