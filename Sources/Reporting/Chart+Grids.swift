import Foundation

extension Chart {
  /// A quantity for each pair of two others, as colour from dark (low) to light (high).
  ///
  /// Up to 200 cells also say their value.
  ///
  /// - Parameters:
  ///   - x: the column of the columns' names, in the order of the rows
  ///   - y: the column of the rows' names, from top to bottom in the order of the rows
  /// - Precondition: the table has the columns.
  public static func heatMap(
    _ table: DataTable, title: String, subtitle: String? = nil, x: String, y: String, value: Axis,
    tooltip: [String] = [], size: Size = Size(width: 700, height: 280)
  ) -> Chart {
    var data = ChartData(table)
    let across = data.field("x", x, category: true)
    let down = data.field("y", y, category: true)
    let field = data.field("v", value)
    data.tooltips(tooltip)
    let columns = askew(across.position(Axis(x), zero: false), labels: table, x, width: size.width)
    let place: JSON = ["x": columns, "y": down.position(Axis(y), zero: false)]
    var scale: [String: JSON] = ["scheme": "viridis", "zero": false]
    if value.scale == .logarithmic { scale = ["scheme": "viridis", "type": "log"] }
    if let domain = value.domain {
      scale["domain"] = [.number(domain.lowerBound), .number(domain.upperBound)]
    }
    var layers: [JSON] = [
      [
        "name": "cells",
        "mark": ["type": "rect"],
        "encoding": place.adding([
          "color": [
            "field": "v", "type": "quantitative", "title": field.heading, "scale": .object(scale),
            "legend": [
              "orient": "right",
              "gradientLength": .number(Double(max(80, size.height - 60))),
            ],
          ],
          "tooltip": .array(data.tooltip),
        ]),
      ]
    ]
    if data.rowCount <= 200 { layers.append(labels(of: field, value, data: data, place: place)) }
    return Chart(
      title: title,
      spec: specification(
        title: title, subtitle: subtitle, data: data, size: size, ["layer": .array(layers)]))
  }

  /// The value of each cell, light or dark as its colour wants it.
  private static func labels(
    of field: ChartData.Field, _ value: Axis, data: ChartData, place: JSON
  ) -> JSON {
    let numbers = data.numbers(value.column).compactMap { $0 }.filter {
      value.scale == .linear || $0 > 0
    }
    let low = value.domain?.lowerBound ?? numbers.min() ?? 0
    let high = value.domain?.upperBound ?? numbers.max() ?? 1
    // Where viridis becomes light enough for dark text.
    let share = 0.62
    let turn =
      value.scale == .linear || low <= 0 ? low + (high - low) * share : low * pow(high / low, share)
    let format = field.column.decimals.map { ",.\($0)f" } ?? ",.3~r"
    return [
      "name": "labels_on_color",
      "mark": ["type": "text", "fontSize": 11, "aria": false],
      "encoding": place.adding([
        "text": ["field": "v", "type": "quantitative", "format": .string(format)],
        "color": [
          "condition": [
            "test": .string("datum.v > \(NumberText.json(NumberText.rounded(turn)))"), "value": "#111111",
          ],
          "value": "#ffffff",
        ],
      ]),
    ]
  }

  /// Whether predicted probabilities come true: observed against predicted frequency, on the diagonal if they do.
  ///
  /// - Parameters:
  ///   - predicted: the column with the mean prediction of each bin, 0 to 1
  ///   - observed: the column with the frequency observed in it, 0 to 1
  ///   - count: the column with the number of cases, shown as the size of the point
  ///   - interval: of the observed frequency
  /// - Precondition: the table has the columns.
  public static func reliability(
    _ table: DataTable, title: String, predicted: String, observed: String, count: String,
    series: String? = nil, interval: Interval? = nil, tooltip: [String] = [], size: Size = .square
  ) -> Chart {
    var data = ChartData(table)
    let group = series.map { data.field("s", $0, category: true) }
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
          "y": up.position(y, zero: true, as: "l"), "y2": ["field": "h"], "color": group?.color,
        ]),
      ])
    }
    data.tooltips(tooltip)
    layers.append(lineLayer(encoding, color: group?.color, mark: ["opacity": 0.5, "strokeWidth": 1]))
    layers.append([
      "name": "points",
      "mark": ["type": "point", "filled": true, "opacity": 0.85, "color": Style.palette[0]],
      "encoding": encoding.adding([
        "color": group?.color,
        "size": [
          "field": "c", "type": "quantitative", "title": cases.heading,
          "scale": ["range": [25, 500], "zero": false],
          "legend": [
            "orient": "right", "titleOrient": "top", "columns": 1, "symbolFillColor": "#888888",
            "symbolStrokeColor": "#888888", "tickCount": 4,
          ],
        ],
        "tooltip": .array(data.tooltip),
      ]),
    ])
    return Chart(
      title: title,
      spec: specification(
        title: title, subtitle: "On the diagonal, predictions come true as often as they say.", data: data,
        size: size, ["layer": .array(layers)]))
  }
}
