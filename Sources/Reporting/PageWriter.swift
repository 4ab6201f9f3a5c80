/// Writes the parts of a page, and numbers its figures and tables.
struct PageWriter {
  var provenance: Provenance
  var output = ""
  private var figures = 0
  private var tables = 0
  private var isInFigures = false

  init(provenance: Provenance) { self.provenance = provenance }

  mutating func write(_ findings: [ReportPage.Finding]) {
    guard !findings.isEmpty else { return }
    output += "<ul class=\"findings\">\n"
    for finding in findings {
      let figure = finding.figure.map { "<strong>\(HTML.escaped($0))</strong>" } ?? ""
      output += "<li>\(figure)\(HTML.escaped(finding.sentence))</li>\n"
    }
    output += "</ul>\n"
  }

  mutating func writeNavigation(_ sections: [ReportPage.Section]) {
    guard sections.count >= 4 else { return }
    output += "<nav>"
    for (index, section) in sections.enumerated() {
      output += "<a href=\"#section-\(index + 1)\">\(index + 1). \(HTML.escaped(section.title))</a> "
    }
    output += "</nav>\n"
  }

  mutating func write(_ section: ReportPage.Section, number: Int) {
    output += "<section id=\"section-\(number)\">\n<h2>\(number). \(HTML.escaped(section.title))</h2>\n"
    for block in section.blocks {
      // Neighbouring charts share a row if they fit.
      let isChart = if case .chart = block { true } else { false }
      if isChart != isInFigures {
        output += isChart ? "<div class=\"figures\">\n" : "</div>\n"
        isInFigures = isChart
      }
      write(block)
    }
    if isInFigures { output += "</div>\n" }
    isInFigures = false
    output += "</section>\n"
  }

  private mutating func write(_ block: ReportPage.Block) {
    switch block {
    case .text(let text):
      for paragraph in text.split(separator: "\n\n") {
        output += "<p>\(HTML.escaped(String(paragraph)))</p>\n"
      }
    case .preformatted(let text): output += "<pre>\n\(HTML.escaped(text))</pre>\n"
    case .chart(let chart, let provenance): write(chart, provenance ?? self.provenance)
    case .table(let table, let caption, let rows): write(table, caption: caption, rows: rows)
    }
  }

  private mutating func write(_ chart: Chart, _ provenance: Provenance) {
    figures += 1
    let label = "Figure \(figures)"
    output += "<figure class=\"chart\" id=\"figure-\(figures)\">\n"
    output +=
      "<div class=\"view\" id=\"view-\(figures)\" role=\"img\" aria-label=\"\(HTML.escaped(chart.title))\">"
    let caption = [chart.caption, chart.note].compactMap { $0 }.joined(separator: " ")
    output += "</div>\n<figcaption><b>\(label).</b> \(HTML.escaped(caption))</figcaption>\n"
    write(chart.meanings)
    output += "<p class=\"made-by\">\(HTML.escaped(provenance.allLines.joined(separator: "\n")))</p>\n"
    output += "<script type=\"application/json\" id=\"chart-\(figures)\">\(chart.spec)</script>\n</figure>\n"
  }

  /// What the figures above are, one click away.
  private mutating func write(_ meanings: [Chart.Meaning]) {
    guard !meanings.isEmpty else { return }
    output += "<details class=\"meanings\"><summary>What the figures mean</summary>\n<dl>\n"
    for meaning in meanings {
      output += "<dt>\(HTML.escaped(meaning.heading))</dt><dd>\(HTML.escaped(meaning.text))</dd>\n"
    }
    output += "</dl></details>\n"
  }

  private mutating func write(_ table: DataTable, caption: String?, rows limit: Int) {
    tables += 1
    let table = table.withoutEmptyColumns
    let isNumeric = table.columns.indices.map { column in
      table.rows.contains { $0[column].finite != nil }
        && !table.rows.contains { if case .text = $0[column] { true } else { false } }
    }
    output += "<figure class=\"table\" id=\"table-\(tables)\">\n"
    output += "<figcaption><b>Table \(tables).</b> \(HTML.escaped(caption ?? ""))</figcaption>\n"
    output += "<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr>"
    for (column, numeric) in zip(table.columns, isNumeric) {
      output += "<th\(numeric ? " class=\"number\"" : "")>\(HTML.escaped(column.heading))</th>"
    }
    output += "</tr></thead>\n<tbody>\n"
    for row in table.rows.prefix(limit) {
      output += "<tr>"
      for ((cell, column), numeric) in zip(zip(row, table.columns), isNumeric) {
        output += "<td class=\"\(numeric ? "number" : "text")\">\(HTML.escaped(Self.text(cell, column)))</td>"
      }
      output += "</tr>\n"
    }
    output += "</tbody>\n</table></div>\n"
    if table.rows.isEmpty {
      output += "<p class=\"more\">No rows.</p>\n"
    } else if table.rows.count > limit {
      output += "<p class=\"more\">The first \(limit) of \(table.rows.count) rows.</p>\n"
    }
    write(table.columns.compactMap(Chart.Meaning.init))
    output += "</figure>\n"
  }

  private static func text(_ cell: DataTable.Cell, _ column: DataTable.Column) -> String {
    switch cell {
    case .number(let value): NumberText.display(value, decimals: column.decimals)
    case .text(let text): text
    case .empty: "–"
    }
  }
}
