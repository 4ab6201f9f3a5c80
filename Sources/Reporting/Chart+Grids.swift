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
            "legend": ["orient": "top", "gradientLength": 220, "gradientThickness": 12],
          ],
          "tooltip": .array(data.tooltip),
        ]),
      ]
    ]
    if data.rowCount <= 200 { layers.append(labels(of: field, value, data: data, place: place)) }
    return Chart(
      title: title,
      caption: "\(table.heading(value.column)) by \(table.heading(y)) and \(table.heading(x)), as colour"
        + (data.rowCount <= 200 ? ", and as number where there is room." : "."),
      data: data,
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
}
