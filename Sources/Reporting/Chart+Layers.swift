/// The layers that several kinds of chart share. Layers whose names begin with "reference" are not data: a page
/// does not count their marks when it says whether a chart shows anything.
extension Chart {
  /// With more rows than this, points would hide the lines: they are there for tooltips only.
  static let mostVisiblePoints = 300

  static func lineLayer(
    _ encoding: JSON, color: JSON?, dash: JSON? = nil, order: JSON? = nil, mark: JSON = [:]
  ) -> JSON {
    [
      "name": "lines",
      "mark": mark.adding(["type": "line", "strokeWidth": 2, "color": Style.palette[0]]),
      "encoding": encoding.adding(["color": color, "strokeDash": dash, "order": order]),
    ]
  }

  static func pointLayer(_ encoding: JSON, series: ChartData.Field?, color: JSON?, data: ChartData) -> JSON {
    let visible = data.rowCount <= mostVisiblePoints
    return [
      "name": "points",
      "mark": [
        "type": "point", "filled": true, "size": visible ? 55 : 30, "opacity": visible ? 1 : 0,
        "color": Style.palette[0],
      ],
      "encoding": encoding.adding([
        "color": color, "shape": visible ? series?.shape : nil, "tooltip": .array(data.tooltip),
        // A point on another one's leaves that one's rim.
        "size": visible ? ["condition": ["test": "datum.d > 0", "value": 20], "value": 55] : nil,
      ]),
    ]
  }

  /// A dashed line with its label for each value to compare with.
  static func referenceLayers(_ rules: [ReferenceRule], y: JSON) -> [JSON] {
    guard !rules.isEmpty else { return [] }
    let values = rules.map { rule -> JSON in ["y": .number(rule.value), "label": .string(rule.label)] }
    let data: JSON = ["values": .array(values)]
    return [
      [
        "name": "reference_rules", "data": data,
        "mark": ["type": "rule", "strokeDash": [5, 4], "color": Style.ink],
        "encoding": [
          "y": y, "tooltip": ["field": "label", "type": "nominal", "title": "Reference"],
        ],
      ],
      [
        "name": "reference_labels", "data": data,
        "mark": [
          "type": "text", "align": "right", "baseline": "bottom", "dx": -4, "dy": -3, "color": Style.ink,
          "fontSize": 11, "fontStyle": "italic",
        ],
        "encoding": ["x": ["value": "width"], "y": y, "text": ["field": "label", "type": "nominal"]],
      ],
    ]
  }
}
