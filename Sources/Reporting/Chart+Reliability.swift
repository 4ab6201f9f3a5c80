extension Chart {
  /// Whether predicted probabilities come true: observed against predicted frequency, on the diagonal if they do.
  ///
  /// Bins of few cases say little: they are drawn hollow, and no line leads to them.
  ///
  /// - Parameters:
  ///   - predicted: the column with the mean prediction of each bin, 0 to 1
  ///   - observed: the column with the frequency observed in it, 0 to 1
  ///   - count: the column with the number of cases, shown as the size of the point
  ///   - fewest: cases from which on a bin counts as one
  ///   - interval: of the observed frequency
  /// - Precondition: the table has the columns.
  public static func reliability(
    _ table: DataTable, title: String, predicted: String, observed: String, count: String, fewest: Int = 20,
    series: String? = nil, interval: Interval? = nil, tooltip: [String] = [], size: Size = .square
  ) -> Chart {
    var data = ChartData(table)
    let group = series.map { data.series($0, among: []) }
    let color = group?.color(width: size.width)
    let x = Axis(predicted, domain: 0...1)
    let y = Axis(observed, domain: 0...1)
    let across = data.field("x", x)
    let up = data.field("y", y)
    let cases = data.field("c", count)
    let encoding: JSON = ["x": across.position(x, zero: true), "y": up.position(y, zero: true)]
    let diagonal: JSON = [
      "name": "reference_diagonal",
      "data": ["values": [["x": 0, "y": 0], ["x": 1, "y": 1]]],
      "mark": ["type": "line", "strokeDash": [5, 4], "strokeWidth": 1, "color": Style.ink],
      "encoding": encoding,
    ]
    var layers = [diagonal]
    if let interval {
      _ = data.field("l", interval.low)
      _ = data.field("h", interval.high)
      layers.append([
        "name": "intervals",
        "mark": ["type": "rule", "opacity": 0.6, "color": Style.palette[0]],
        "encoding": encoding.adding([
          "y": up.position(y, zero: true, as: "l"), "y2": ["field": "h"], "color": color,
        ]),
      ])
    }
    data.tooltips(tooltip)
    let few = data.numbers(count).contains { $0.map { $0 < Double(fewest) } ?? false }
    let many: JSON = ["transform": [["filter": .string("datum.c >= \(fewest)")]]]
    layers.append(
      lineLayer(encoding, color: color, mark: ["opacity": 0.5, "strokeWidth": 1]).adding(
        few ? many.members : [:]))
    layers.append([
      "name": "points",
      "mark": ["type": "point", "opacity": 0.85, "strokeWidth": 1.2, "color": Style.palette[0]],
      "encoding": encoding.adding([
        "color": color,
        "fillOpacity": [
          "condition": ["test": .string("datum.c >= \(fewest)"), "value": 1], "value": 0,
        ],
        "fill": color ?? ["value": Style.palette[0]],
        "size": [
          "field": "c", "type": "quantitative", "title": cases.heading,
          "scale": ["range": [25, 500], "zero": false],
          "legend": [
            "orient": "bottom", "symbolFillColor": "#888888", "symbolStrokeColor": "#888888", "tickCount": 4,
          ],
        ],
        "tooltip": .array(data.tooltip),
      ]),
    ])
    return Chart(
      title: title,
      caption: "The larger a point, the more cases its bin has."
        + (interval == nil ? "" : " Lines are intervals of what was observed."),
      note: few
        ? "Hollow points are bins of fewer than \(fewest) cases, which say little; no line leads to them."
        : nil,
      data: data,
      spec: specification(
        title: title, subtitle: "On the diagonal, predictions come true as often as they say.", data: data,
        size: size, ["layer": .array(layers)]))
  }
}
