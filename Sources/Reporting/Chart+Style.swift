extension Chart {
  /// How all charts look. Colours of text and grid are those of a light page; the page's style sheet replaces
  /// them on a dark one.
  enum Style {
    /// Okabe and Ito's colours, which people with any colour vision tell apart, without their yellow and black; then
    /// three of Tol's.
    static let palette: [JSON] = [
      "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C8C8C", "#332288", "#882255",
      "#999933",
    ]
    static let shapes: [JSON] = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down"]
    /// The colour of text in the plotted area and of lines to compare with.
    static let ink: JSON = "#444444"
    static let fonts: JSON = "system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif"

    static let config: JSON = [
      "font": fonts,
      "background": "#ffffff",
      "view": ["stroke": nil],
      "title": [
        "anchor": "start", "color": "#1a1a1a", "fontSize": 15, "fontWeight": 600, "offset": 10,
        "subtitleColor": "#555555", "subtitleFontSize": 12, "subtitlePadding": 4, "frame": "group",
      ],
      "axis": [
        "labelColor": "#444444", "titleColor": "#222222", "gridColor": "#e4e4e4", "domainColor": "#888888",
        "tickColor": "#888888", "labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": 600,
        "titlePadding": 8, "labelLimit": 180, "tickCount": 6,
      ],
      "header": [
        "labelColor": "#222222", "labelFontSize": 12, "labelFontWeight": 600, "titleColor": "#222222",
        "labelLimit": 700,
      ],
      "legend": [
        "orient": "top", "labelColor": "#444444", "titleColor": "#222222", "labelFontSize": 12,
        "titleFontSize": 12, "titleFontWeight": 600, "titleLimit": 0, "labelLimit": 400, "symbolSize": 90,
        "offset": 14,
        "titleOrient": "left",
        "titlePadding": 10, "symbolOpacity": 1,
        "columns": 5, "columnPadding": 16,
      ],
    ]
  }

  /// Where the names of categories would run into each other: the axis with its labels askew.
  static func askew(_ position: JSON, labels table: DataTable, _ column: String, width: Int) -> JSON {
    let index = table.index(of: column)
    let names = Set(
      table.rows.compactMap { row in if case .text(let name) = row[index] { name } else { nil } })
    // A character is about 7 pixels wide.
    let longest = names.map(\.count).max() ?? 0
    guard names.count * (longest + 1) * 7 > width else { return position }
    return position.adding(["axis": ["labelAngle": -40, "labelLimit": 260, "grid": false]])
  }

  /// A whole specification: what all charts share, around the marks.
  static func specification(title: String, subtitle: String?, data: ChartData, size: Size?, _ parts: JSON)
    -> JSON
  {
    var heading: JSON = ["text": .string(title)]
    if let subtitle { heading = heading.adding(["subtitle": .string(subtitle)]) }
    return parts.adding([
      "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
      "config": Style.config,
      "data": ["values": data.values],
      "title": heading,
      "width": size.map { .number(Double($0.width)) },
      "height": size.map { .number(Double($0.height)) },
    ])
  }
}
