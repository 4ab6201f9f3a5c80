/// Rows under named columns: what a result is before it becomes a table, a file or a chart.
public struct DataTable: Sendable, Equatable {
  /// A column: its name in files, and how a reader sees it.
  public struct Column: Sendable, Equatable, ExpressibleByStringLiteral {
    /// The name in CSV and JSON and for the chart builders; unique in its table.
    public var name: String
    /// The heading for readers, without the unit.
    public var title: String
    /// For example "ms". nil: a text, a count or a ratio.
    public var unit: String?
    /// Decimals shown in tables and tooltips (files have every digit). nil: about four digits.
    public var decimals: Int?
    /// What the figure is, for readers who want to know: one sentence.
    public var meaning: String?

    public init(
      _ name: String, title: String? = nil, unit: String? = nil, decimals: Int? = nil, meaning: String? = nil
    ) {
      self.name = name
      self.title = title ?? name
      self.unit = unit
      self.decimals = decimals
      self.meaning = meaning
    }

    public init(stringLiteral value: String) { self.init(value) }

    /// The heading with its unit.
    public var heading: String { unit.map { "\(title) (\($0))" } ?? title }
  }

  public enum Cell: Sendable, Equatable {
    /// A number that is not finite counts as empty in every output.
    case number(Double)
    case text(String)
    case empty
  }

  public let columns: [Column]
  public private(set) var rows: [[Cell]] = []

  /// - Precondition: no two columns have the same name.
  public init(_ columns: [Column], rows: [[Cell]] = []) {
    precondition(Set(columns.map(\.name)).count == columns.count, "two columns have the same name")
    self.columns = columns
    for row in rows { append(row) }
  }

  /// - Precondition: as many cells as columns.
  public mutating func append(_ cells: [Cell]) {
    precondition(cells.count == columns.count, "a row of \(cells.count) cells for \(columns.count) columns")
    rows.append(cells)
  }

  /// The position of a column.
  /// - Precondition: there is such a column.
  public func index(of column: String) -> Int {
    guard let index = columns.firstIndex(where: { $0.name == column }) else {
      preconditionFailure("no column \(column); there are \(columns.map(\.name).joined(separator: ", "))")
    }
    return index
  }

  /// The rows for which a condition on the cell of one column holds.
  public func filtered(_ column: String, _ condition: (Cell) -> Bool) -> DataTable {
    let index = index(of: column)
    var result = DataTable(columns)
    result.rows = rows.filter { condition($0[index]) }
    return result
  }

  /// Without the columns that are empty in every row.
  public var withoutEmptyColumns: DataTable {
    selecting(
      columns.indices.filter { column in rows.isEmpty || rows.contains { $0[column].name != nil } }
        .map { columns[$0].name })
  }

  /// Some columns, in the order given.
  public func selecting(_ names: [String]) -> DataTable {
    let indices = names.map { index(of: $0) }
    return DataTable(indices.map { columns[$0] }, rows: rows.map { row in indices.map { row[$0] } })
  }
}

extension DataTable.Cell: ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral, ExpressibleByStringLiteral,
  ExpressibleByNilLiteral
{
  public init(floatLiteral value: Double) { self = .number(value) }
  public init(integerLiteral value: Int) { self = .number(Double(value)) }
  public init(stringLiteral value: String) { self = .text(value) }
  public init(nilLiteral: ()) { self = .empty }
  /// A whole number.
  public init(_ value: some BinaryInteger) { self = .number(Double(value)) }
  /// A number; nil is empty.
  public init(_ value: Double?) { self = value.map { .number($0) } ?? .empty }
  /// A text; nil is empty.
  public init(_ value: String?) { self = value.map { .text($0) } ?? .empty }

  /// The number, if it is a finite one.
  var finite: Double? {
    if case .number(let value) = self, value.isFinite { value } else { nil }
  }

  /// The cell as a category's name; nil if it is empty.
  var name: String? {
    switch self {
    case .text(let text): text
    case .number(let value): NumberText.exact(value)
    case .empty: nil
    }
  }
}
