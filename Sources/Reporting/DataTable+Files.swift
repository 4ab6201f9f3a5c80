import StrictJSON

extension DataTable {
  /// The table as CSV after RFC 4180: a line of column names, CRLF after every line, quotes where needed.
  /// Numbers have every digit; empty cells and numbers that are not finite are empty.
  public func csv() -> String {
    var output = ""
    func write(_ fields: [String]) {
      for (index, field) in fields.enumerated() {
        if index > 0 { output += "," }
        output += Self.quoted(field)
      }
      output += "\r\n"
    }
    write(columns.map(\.name))
    for row in rows { write(row.map { $0.name ?? "" }) }
    return output
  }

  /// The table as a JSON array of one object a row, one row a line, members in the order of the columns.
  /// Empty cells and numbers that are not finite are null.
  public func json() -> String {
    let names = columns.map { JSONString.quoted($0.name, inScript: true) }
    var output = "["
    for (number, row) in rows.enumerated() {
      output += number == 0 ? "\n{" : ",\n{"
      for (index, cell) in row.enumerated() {
        output += (index == 0 ? "" : ",") + names[index] + ":" + JSON(cell).text
      }
      output += "}"
    }
    return output + "\n]\n"
  }

  private static func quoted(_ field: String) -> String {
    // By scalar: a CR LF pair is one Character that equals neither.
    let special = field.unicodeScalars.contains { $0 == "," || $0 == "\"" || $0 == "\r" || $0 == "\n" }
    guard special || field.first == " " || field.last == " " else { return field }
    var result = "\""
    for scalar in field.unicodeScalars {
      result.unicodeScalars.append(scalar)
      if scalar == "\"" { result += "\"" }
    }
    return result + "\""
  }
}

extension JSON {
  init(_ cell: DataTable.Cell) {
    switch cell {
    case .number(let value): self = value.isFinite ? .number(value) : .null
    case .text(let text): self = .string(text)
    case .empty: self = .null
    }
  }
}
