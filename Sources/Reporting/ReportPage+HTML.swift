extension ReportPage {
  /// What the page may do: nothing but run its own scripts and styles. Nothing is loaded from anywhere.
  static let policy =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    + "base-uri 'none'; form-action 'none'"

  /// The page as one HTML file that needs no other. The same page always gives the same bytes.
  ///
  /// Its script notes in the attributes of the `html` element what came of the charts: `data-state="done"` at the
  /// end, `data-charts`, `data-charts-drawn` (with marks of data), `data-errors`, `data-warnings`.
  ///
  /// - Throws: `ReportError` if a resource is missing or the page is above `sizeLimit`.
  public func html() throws -> String {
    let resources = try PageResources.load()
    var writer = PageWriter(provenance: provenance)
    writer.output = """
      <!doctype html>
      <html lang="en" data-state="waiting" data-charts="\(chartCount)" data-charts-drawn="0" data-errors="0">
      <head>
      <meta charset="utf-8">
      <meta http-equiv="Content-Security-Policy" content="\(Self.policy)">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <title>\(HTML.escaped(title))</title>
      <style>
      \(resources.style)</style>
      <script>
      \(resources.script)</script>
      </head>
      <body>
      <main>
      <header>
      <h1>\(HTML.escaped(title))</h1>

      """
    if let subtitle { writer.output += "<p class=\"subtitle\">\(HTML.escaped(subtitle))</p>\n" }
    writer.write(findings)
    writer.writeNavigation(sections)
    writer.output += "</header>\n<ul id=\"problems\" hidden></ul>\n"
    writer.output += "<noscript><p class=\"problem\">The charts need JavaScript.</p></noscript>\n"
    for (number, section) in sections.enumerated() { writer.write(section, number: number + 1) }
    writer.output += "</main>\n"
    if chartCount > 0 { writer.output += "<script>\n\(resources.charts)</script>\n" }
    writer.output += "</body>\n</html>\n"
    let size = writer.output.utf8.count
    guard size <= sizeLimit else {
      throw ReportError(
        code: .tooLarge,
        message: "the page \"\(title)\" has \(size) bytes, more than its limit of \(sizeLimit): "
          + "show aggregates in its charts, or fewer rows")
    }
    return writer.output
  }
}
