/// The columns of a table that a chart uses, under short names of its own: column names may hold characters that
/// mean something in a Vega-Lite field, and short names keep pages small.
struct ChartData {
  struct Field {
    var key: String
    var column: DataTable.Column
    /// Whether it holds text: a category, not a quantity.
    var isText: Bool
    /// The different values as names, in the order of their first row.
    var names: [String]
    /// All names that have a colour on the page, in the order of colours; those of other charts too.
    var known: [String] = []
    var isEmpty: Bool { names.isEmpty }

    var heading: JSON { .string(ChartData.withoutLineEnds(column.heading)) }
  }

  private let table: DataTable
  private var fields: [(field: Field, index: Int, positive: Bool)] = []
  private var constants: [(key: String, values: [JSON])] = []
  private(set) var tooltip: [JSON] = []

  init(_ table: DataTable) { self.table = table }

  var rowCount: Int { table.rows.count }

  /// Takes a column in.
  ///
  /// - Parameters:
  ///   - positive: for a logarithmic scale: only values above zero count
  ///   - category: numbers too are names here
  ///   - shown: whether tooltips tell it
  mutating func field(
    _ key: String, _ column: String, positive: Bool = false, category: Bool = false, shown: Bool = true
  ) -> Field {
    let index = table.index(of: column)
    var names: [String] = []
    var seen: Set<String> = []
    var isText = category
    for row in table.rows {
      if case .text = row[index] { isText = true }
      if let name = row[index].name.map(Self.withoutLineEnds), seen.insert(name).inserted {
        names.append(name)
      }
    }
    let field = Field(key: key, column: table.columns[index], isText: isText, names: names)
    fields.append((field, index, positive))
    if shown {
      let format = isText ? nil : table.columns[index].decimals.map { JSON.string(",.\($0)f") }
      tooltip.append(
        ([
          "field": .string(key), "title": field.heading, "type": isText ? "nominal" : "quantitative",
        ] as JSON).adding(["format": format]))
    }
    return field
  }

  /// Takes the column in that tells series apart.
  mutating func series(_ column: String, among known: [String]) -> Field {
    var field = field("s", column, category: true)
    let names = known.map(Self.withoutLineEnds)
    field.known = names + field.names.filter { !names.contains($0) }
    return field
  }

  /// What the columns' figures are, each once.
  var meanings: [Chart.Meaning] {
    var result: [Chart.Meaning] = []
    for (field, _, _) in fields {
      if let meaning = Chart.Meaning(field.column), !result.contains(meaning) { result.append(meaning) }
    }
    return result
  }

  /// Takes an axis's column in.
  mutating func field(_ key: String, _ axis: Chart.Axis) -> Field {
    field(key, axis.column, positive: axis.scale == .logarithmic)
  }

  /// Takes further columns in that only tooltips tell.
  mutating func tooltips(_ columns: [String]) {
    for (number, column) in columns.enumerated() { _ = field("t\(number)", column) }
  }

  /// A field that is no column.
  mutating func add(_ key: String, _ values: [JSON]) { constants.append((key, values)) }

  /// Adds the place of each row's category in the order of categories.
  mutating func addOrder(_ key: String, of field: Field) {
    let places = Dictionary(uniqueKeysWithValues: field.names.enumerated().map { ($1, $0) })
    let index = table.index(of: field.column.name)
    add(key, table.rows.map { .number(Double($0[index].name.flatMap { places[$0] } ?? places.count)) })
  }

  /// The numbers of a column, row by row.
  func numbers(_ column: String) -> [Double?] {
    let index = table.index(of: column)
    return table.rows.map { $0[index].finite }
  }

  var values: JSON {
    .array(
      table.rows.enumerated().map { number, row in
        var object: [String: JSON] = [:]
        for (field, index, positive) in fields {
          object[field.key] = Self.value(row[index], isText: field.isText, positive: positive)
        }
        for (key, values) in constants { object[key] = values[number] }
        return .object(object)
      })
  }

  /// The text with spaces for Unicode's own line ends: names get into Vega's expressions, which take no such.
  fileprivate static func withoutLineEnds(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: { $0 == "\u{2028}" || $0 == "\u{2029}" }) else { return text }
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      result.append(scalar == "\u{2028}" || scalar == "\u{2029}" ? " " : scalar)
    }
    return String(result)
  }

  private static func value(_ cell: DataTable.Cell, isText: Bool, positive: Bool) -> JSON {
    if isText { return cell.name.map { .string(withoutLineEnds($0)) } ?? .null }
    guard let number = cell.finite, !positive || number > 0 else { return .null }
    return .number(NumberText.rounded(number))
  }
}

extension ChartData.Field {
  /// This field along an axis.
  func position(_ axis: Chart.Axis, zero: Bool, as key: String? = nil) -> JSON {
    let encoding: JSON = ["field": .string(key ?? self.key), "title": heading]
    if isText {
      return encoding.adding([
        "type": "ordinal", "scale": categories, "sort": JSON.null, "axis": ["labelAngle": 0, "grid": false],
      ])
    }
    var scale: [String: JSON] = [:]
    switch axis.scale {
    case .linear: scale["zero"] = .bool(axis.fromZero ?? zero)
    case .logarithmic: scale["type"] = "log"
    }
    if let domain = axis.domain {
      scale["domain"] = [.number(domain.lowerBound), .number(domain.upperBound)]
      scale["zero"] = false
    }
    return encoding.adding(["type": "quantitative", "scale": .object(scale)])
  }

  /// The order of the rows, which Vega-Lite would otherwise replace by that of the alphabet.
  var order: JSON { .array(names.map { .string($0) }) }

  /// A scale in this order. (Not by `sort`, of which Vega-Lite makes one expression as long as the list.)
  var categories: JSON { isEmpty ? [:] : ["domain": order] }

  /// This field as colour, each value with its own: the same in every chart that knows the same names.
  ///
  /// - Parameter width: of the plotted area, which the legend keeps to
  func color(width: Int) -> JSON {
    // A character is about 7 pixels wide; a symbol and the space between columns take 44.
    let title = column.heading.count * 8 + 12
    let entry = (names.map(\.count).max() ?? 0) * 7 + 44
    let columns = min(5, max(1, (width - title) / entry))
    return picked(Chart.Style.palette).adding([
      "legend": ["columns": .number(Double(columns)), "symbolStrokeWidth": 0]
    ])
  }

  /// This field as the shape of points, with one legend for shape and colour.
  var shape: JSON { picked(Chart.Style.shapes) }

  private func picked(_ values: [JSON]) -> JSON {
    let places = Dictionary(uniqueKeysWithValues: known.enumerated().map { ($1, $0) })
    var scale: [String: JSON] = [
      "range": isEmpty
        ? [values[0]] : .array(names.enumerated().map { values[(places[$1] ?? $0) % values.count] })
    ]
    if !isEmpty { scale["domain"] = order }
    return ["field": .string(key), "type": "nominal", "title": heading, "scale": .object(scale)]
  }
}
