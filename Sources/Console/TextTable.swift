import VisibleText

/// Rows of text in aligned columns. The first column is aligned left, the others right.
package struct TextTable {
  package var header: [String]
  package var rows: [[String]] = []

  package init(_ header: [String]) { self.header = header }

  package mutating func add(_ row: [String]) {
    precondition(row.count == header.count, "a row has one cell for each column")
    rows.append(row)
  }

  package func rendered() -> String {
    let all = ([header] + rows).map { $0.map(\.visibleLine) }
    let widths = header.indices.map { column in all.map { $0[column].count }.max()! }
    func line(_ cells: [String]) -> String {
      let padded = cells.enumerated().map { index, cell in
        let space = String(repeating: " ", count: widths[index] - cell.count)
        return index == 0 ? cell + space : space + cell
      }
      var text = padded.joined(separator: "  ")
      while text.last == " " { text.removeLast() }
      return text
    }
    let rule = widths.map { String(repeating: "-", count: $0) }.joined(separator: "  ")
    return ([line(all[0]), rule] + all.dropFirst().map(line)).joined(separator: "\n")
  }
}

extension Double {
  /// With a fixed number of decimals: `12.30`.
  package func fixed(_ decimals: Int) -> String {
    guard isFinite else { return "-" }
    let scale = (0..<decimals).reduce(1.0) { product, _ in product * 10 }
    let scaled = (self * scale).rounded()
    guard abs(scaled) < 9e15 else { return "\(self)" }
    guard decimals > 0 else { return "\(Int64(scaled))" }
    let digits = String(abs(Int64(scaled)))
    let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
    return (scaled < 0 ? "-" : "") + padded.dropLast(decimals) + "." + padded.suffix(decimals)
  }
}
