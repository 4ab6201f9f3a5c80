import Foundation

/// Where the parts of a page came to lie in a window.
public struct Layout: Decodable, Sendable {
  public struct Chart: Decodable, Sendable {
    public var title: String
    /// Pixels of the picture beyond its place, or by which it was shrunk to it.
    public var excess: Double
    /// Texts that the picture's edge cuts.
    public var cut: [String]
    public var caption: String
    /// Of points and lines, by the name in the legend.
    public var colors: [String: String]
  }

  public struct Table: Decodable, Sendable {
    public var caption: String
    /// Pixels that are seen only by scrolling.
    public var hidden: Double
  }

  /// Of the window.
  public var width: Double
  /// Pixels by which the page is wider than the window.
  public var excess: Double
  public var charts: [Chart]
  public var tables: [Table]

  /// Waits for the page's own script, measures, and writes what it found into the document.
  fileprivate static let script = """
    <script>
    (function measure() {
      if (document.documentElement.dataset.state !== 'done') { setTimeout(measure, 50); return; }
      const root = document.documentElement;
      const caption = (figure) => {
        const text = figure.querySelector('figcaption').textContent;
        return text.slice(text.indexOf('.') + 1).trim();
      };
      const charts = [...document.querySelectorAll('figure.chart')].map((figure) => {
        const view = figure.querySelector('.view');
        const svg = figure.querySelector('svg');
        if (!svg) return { title: '', excess: 0, cut: [], caption: caption(figure), colors: {} };
        const edge = svg.getBoundingClientRect();
        const cut = [...svg.querySelectorAll('text')].filter((text) => {
          const box = text.getBoundingClientRect();
          return box.width > 0 && (box.left < edge.left - 1.5 || box.right > edge.right + 1.5
            || box.top < edge.top - 1.5 || box.bottom > edge.bottom + 1.5);
        }).map((text) => text.textContent);
        const colors = {};
        for (const entry of svg.querySelectorAll('g.role-legend-entry g.role-scope > g')) {
          const symbol = entry.querySelector('.role-legend-symbol path');
          const label = entry.querySelector('.role-legend-label text');
          if (symbol && label) {
            const fill = symbol.getAttribute('fill');
            colors[label.textContent] = fill && fill !== 'transparent' ? fill : symbol.getAttribute('stroke');
          }
        }
        return {
          title: view.getAttribute('aria-label'), cut, colors, caption: caption(figure),
          // A picture that was shrunk to its place has letters that nobody can read.
          excess: Math.max(
            edge.right - view.getBoundingClientRect().right, view.scrollWidth - view.clientWidth,
            svg.getAttribute('width') - edge.width),
        };
      });
      const tables = [...document.querySelectorAll('figure.table')].map((figure) => {
        const scroll = figure.querySelector('.scroll');
        return { caption: caption(figure), hidden: scroll.scrollWidth - scroll.clientWidth };
      });
      const output = document.createElement('pre');
      output.id = 'layout';
      output.textContent = JSON.stringify({
        width: innerWidth, excess: root.scrollWidth - root.clientWidth, charts, tables });
      document.body.append(output);
    })();
    </script>
    """
}

extension Browser {
  /// Opens a page in a window of some width, and says where its parts lie.
  public func layout(of html: String, width: Int) async throws -> Layout {
    // The charts' script has such a tag in a string of its own.
    guard let end = html.range(of: "</body>", options: .backwards) else {
      throw Failure(description: "the page has no body")
    }
    let measured = html.replacingCharacters(in: end, with: Layout.script + "</body>")
    let document = try await open(measured, width: width)
    guard let begin = document.text.range(of: "<pre id=\"layout\">"),
      let close = document.text.range(of: "</pre>", range: begin.upperBound..<document.text.endIndex)
    else { throw Failure(description: "the page was not measured: \(document.faults)") }
    let text = document.text[begin.upperBound..<close.lowerBound].replacing("&lt;", with: "<")
      .replacing("&gt;", with: ">").replacing("&amp;", with: "&")
    return try JSONDecoder().decode(Layout.self, from: Data(text.utf8))
  }
}
