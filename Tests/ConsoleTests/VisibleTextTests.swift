import Console
import Foundation
import Testing
import VisibleText

struct VisibleTextTests {
  /// What acts on a terminal, begins a line or turns the order of letters.
  @Test(arguments: [
    ("\u{1B}[31mred\u{1B}[0m", #"\u{1B}[31mred\u{1B}[0m"#),
    ("\u{1B}]0;title\u{07}", #"\u{1B}]0;title\u{7}"#),
    ("a\rb\u{08}c\u{7F}\u{00}", #"a\rb\u{8}c\u{7F}\u{0}"#),
    ("\u{9B}2J", #"\u{9B}2J"#),
    ("\u{202E}txt.exe\u{2066}\u{2069}", #"\u{202E}txt.exe\u{2066}\u{2069}"#),
    ("a\u{2028}b\u{2029}", #"a\u{2028}b\u{2029}"#),
  ])
  func isSpelledOut(text: String, shown: String) {
    #expect(text.visible == shown)
    #expect(text.visibleLine == shown)
  }

  @Test(arguments: ["plain", "Grüße 👩‍👩‍👧 עברית العربية", "", "x\u{200D}y"])
  func harmlessTextStays(text: String) {
    #expect(text.visible == text && text.visibleLine == text)
  }

  @Test func linesAndTabsStayUnlessItIsOneLine() {
    #expect("a\n\tb\r\n".visible == "a\n\tb\n")
    #expect("a\n\tb".visibleLine == "a\\n\\tb")
  }

  /// JSON means the same, and does not act on a terminal either.
  @Test func jsonKeepsItsMeaning() throws {
    let text = "\u{1B}[2J\u{7F}\u{9B}\u{202E}\n\"é"
    let data = JSONLine.data(["text": text])
    #expect(!data.contains { $0 < 0x20 && $0 != 0x0A } && !data.contains(0x7F))
    let line = String(decoding: data, as: UTF8.self)
    #expect(!line.unicodeScalars.contains { (0x7F...0x9F).contains($0.value) || $0.value == 0x202E })
    let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: String])
    #expect(object["text"] == text)
  }

  /// Only this program's own styles act; in a file the text is as it was.
  @Test func onlyOwnStylesAct() {
    var text = StyledText("\u{1B}[2Jmodel", .green)
    text.append(" \u{1B}c")
    #expect(text.rendered(isRaw: false) == "\u{1B}[32m\\u{1B}[2Jmodel\u{1B}[0m \\u{1B}c")
    #expect(text.rendered(isRaw: true) == "\u{1B}[32m\u{1B}[2Jmodel\u{1B}[0m \u{1B}c")
  }

  /// A name with a line feed cannot pretend to be a row of its own.
  @Test func tablesKeepTheirRows() {
    var table = TextTable(["name", "n"])
    table.add(["evil\nrow 1", "\u{1B}[2J"])
    #expect(table.rendered().split(separator: "\n").count == 3)
    #expect(table.rendered().contains("evil\\nrow 1") && !table.rendered().contains("\u{1B}"))
  }
}
