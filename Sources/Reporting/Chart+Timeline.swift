extension Chart {
  /// What happened when: a lane for each actor, a bar for each activity, a diamond for each moment.
  ///
  /// - Parameters:
  ///   - lane: the column with the lanes, shown in the order of `lanes` or of the rows
  ///   - end: equal to the start, or empty, for a moment
  ///   - kind: the column that gives the colour
  ///   - known: all kinds that the page knows, in the order of their colours
  ///   - facet: the column that tells several timelines apart, shown above each other on one scale of time
  ///   - tooltip: further columns that tooltips tell
  ///   - laneHeight: in pixels
  /// - Precondition: the table has the columns.
  public static func timeline(
    _ table: DataTable, title: String, subtitle: String? = nil, lane: String, lanes: [String]? = nil,
    start: Axis, end: String, kind: String, among known: [String] = [], facet: String? = nil,
    tooltip: [String] = [], width: Int = 780,
    laneHeight: Int = 26
  ) -> Chart {
    var data = ChartData(table)
    let group = facet.map { data.field("f", $0, category: true) }
    let row = data.field("n", lane, category: true)
    let color = data.series(kind, among: known)
    let from = data.field("x", start)
    _ = data.field("e", end)
    data.tooltips(tooltip)
    let moments = zip(data.numbers(start.column), data.numbers(end)).map { start, end in
      start != nil && (end == nil || end == start)
    }
    data.add("m", moments.map { $0 ? 1 : 0 })
    // Lanes that were named stand where they were named, whether they have rows or not.
    let order = (lanes ?? []) + row.names.filter { !(lanes ?? []).contains($0) }
    var laneScale: [String: JSON] = ["paddingInner": 0.25, "paddingOuter": 0.15]
    if !order.isEmpty { laneScale["domain"] = .array(order.map { .string($0) }) }
    let encoding: JSON = [
      "y": [
        "field": "n", "type": "ordinal", "title": nil, "scale": .object(laneScale),
        "axis": ["grid": false, "domain": false, "ticks": false, "labelFontSize": 12],
      ],
      "x": from.position(start, zero: false),
      "color": color.color(width: width),
      "tooltip": .array(data.tooltip),
    ]
    let isMoment = moments.contains(true)
    let bars: JSON = [
      "name": "bars", "transform": [["filter": "datum.m == 0"]],
      "mark": ["type": "bar", "cornerRadius": 2, "stroke": "#ffffff", "strokeWidth": 0.5],
      "encoding": encoding.adding(["x2": ["field": "e"]]),
    ]
    let diamonds: JSON = [
      "name": "moments", "transform": [["filter": "datum.m == 1"]],
      "mark": ["type": "point", "shape": "diamond", "filled": true, "size": 90, "opacity": 1],
      "encoding": encoding,
    ]
    // A layer without any row has no extent, which Vega warns of.
    var layers: [JSON] = moments.contains(false) || !isMoment ? [bars] : []
    if isMoment { layers.append(diamonds) }
    let marks: JSON = [
      "width": .number(Double(width)), "height": ["step": .number(Double(laneHeight))],
      "layer": .array(layers),
    ]
    var parts = marks
    if let group {
      data.addOrder("g", of: group)
      parts = facets(of: marks)
    }
    return Chart(
      title: title,
      caption: "Who did what when, a row for each \(table.heading(lane)). The same colour is the same "
        + "\(table.heading(kind)) everywhere.",
      data: data,
      spec: specification(title: title, subtitle: subtitle, data: data, size: nil, parts))
  }

  /// The same marks, once for each facet.
  private static func facets(of marks: JSON) -> JSON {
    [
      "facet": [
        "row": [
          "field": "f", "type": "nominal", "title": nil, "sort": ["field": "g", "op": "min"],
          "header": ["orient": "top", "labelAnchor": "start", "labelAngle": 0, "labelPadding": 4],
        ]
      ],
      "spec": marks,
      "spacing": 12,
      "resolve": ["scale": ["x": "shared", "y": "shared"]],
    ]
  }
}
