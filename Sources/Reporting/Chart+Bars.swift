extension Chart {
  public enum BarLayout: Sendable { case grouped, stacked }

  /// One bar a category, or one for each series of it: beside each other or stacked.
  ///
  /// - Parameters:
  ///   - x: the column with the categories, shown in the order of the rows
  ///   - known: all series of the page, or all categories where there are no series, in the order of their colours
  ///   - interval: drawn as error bars; only beside each other
  /// - Precondition: the table has the columns; stacked bars have no interval.
  public static func bars(
    _ table: DataTable, title: String, subtitle: String? = nil, x: String, y: Axis, series: String? = nil,
    among known: [String] = [], layout: BarLayout = .grouped, interval: Interval? = nil,
    rules: [ReferenceRule] = [],
    tooltip: [String] = [], size: Size = .wide
  ) -> Chart {
    precondition(layout == .grouped || interval == nil, "stacked bars have no error bars")
    var data = ChartData(table)
    let category = data.field("x", x, category: true)
    let group = series.map { data.series($0, among: known) }
    // Bars whose categories have colours elsewhere have them here, too; their names stand below them.
    let own = group == nil && !known.isEmpty ? data.series(x, among: known) : nil
    let up = data.field("y", y)
    let beside = layout == .grouped ? group : nil
    let height = up.position(y, zero: true)
    let names = askew(category.position(Axis(x), zero: false), labels: table, x, width: size.width)
    let place: JSON = (["x": names] as JSON)
      .adding([
        "xOffset": beside.map {
          ["field": .string($0.key), "type": "nominal", "sort": nil, "scale": $0.categories]
        }
      ])
    var layers: [JSON] = []
    if let interval {
      _ = data.field("l", interval.low, positive: y.scale == .logarithmic)
      _ = data.field("h", interval.high, positive: y.scale == .logarithmic)
      layers.append([
        "name": "intervals",
        "mark": ["type": "rule", "strokeWidth": 1.5, "color": Style.ink],
        "encoding": place.adding(["y": up.position(y, zero: true, as: "l"), "y2": ["field": "h"]]),
      ])
    } else if layout == .grouped, data.rowCount <= 24, !up.isText {
      // Few enough to say each value.
      let format = up.column.decimals.map { ",.\($0)f" } ?? ",.3~r"
      layers.append([
        "name": "labels",
        "mark": ["type": "text", "baseline": "bottom", "dy": -3, "fontSize": 11, "color": Style.ink],
        "encoding": place.adding([
          "y": height, "text": ["field": "y", "type": "quantitative", "format": .string(format)],
        ]),
      ])
    }
    data.tooltips(tooltip)
    var bar: JSON = [
      "name": "bars",
      "mark": ["type": "bar", "color": Style.palette[0]],
      "encoding": place.adding([
        "y": layout == .stacked ? height.adding(["stack": "zero"]) : height.adding(["stack": JSON.null]),
        "color": group?.color(width: size.width)
          ?? own?.color(width: size.width).adding(["legend": .some(.null)]),
        "tooltip": .array(data.tooltip),
      ]),
    ]
    if layout == .stacked, let group {
      // Stacked from the axis in the order of the legend.
      data.addOrder("o", of: group)
      bar = ordered(bar, by: "o")
    }
    layers.insert(bar, at: 0)
    layers += referenceLayers(rules, y: height)
    let each = series.map { ", a bar for each \(table.heading($0))" } ?? ""
    let bars = interval == nil ? "" : " Lines are intervals."
    return Chart(
      title: title, caption: "\(table.heading(y.column)) by \(table.heading(x))\(each).\(bars)", data: data,
      spec: specification(
        title: title, subtitle: subtitle, data: data, size: size, ["layer": .array(layers)]))
  }

  private static func ordered(_ layer: JSON, by field: String) -> JSON {
    guard case .object(var members) = layer, let encoding = members["encoding"] else { return layer }
    members["encoding"] = encoding.adding(["order": ["field": .string(field), "type": "quantitative"]])
    return .object(members)
  }
}
