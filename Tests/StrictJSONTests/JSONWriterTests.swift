import Foundation
import StrictJSON
import Testing

struct JSONWriterTests {
  @Test func whatIsWrittenIsReadBack() throws {
    let texts = ["plain", "\"\\\n\r\t\u{0}\u{1F}/", "é😀\u{2028}", ""]
    var writer = JSONWriter()
    writer.object { json in
      json.member("text", "a")
      json.key("numbers")
      json.array { json in
        json.value(-1.5)
        json.value(Double.nan)
        json.value(7)
      }
    }
    #expect(String(decoding: writer.bytes, as: UTF8.self) == #"{"text":"a","numbers":[-1.5,null,7]}"#)
    for text in texts {
      var one = JSONWriter()
      one.array { $0.value(text) }
      guard case .array(let elements) = try JSONReader.read(one.bytes).value,
        case .string(let read) = elements[0].value
      else {
        Issue.record("\(text)")
        continue
      }
      #expect(read == text)
    }
  }

  @Test func aStringForAScriptEndsNoElementAndNoLine() throws {
    let text = "</script>\u{2028}\u{2029}é\u{E000}\"\\\u{0}\u{1F}"
    let quoted = JSONString.quoted(text, inScript: true)
    #expect(quoted == #""\u003c/script>\u2028\u2029é"# + "\u{E000}" + #"\"\\\u0000\u001f""#)
    let read = try JSONDecoder().decode(String.self, from: Data(quoted.utf8))
    #expect(read == text)
    #expect(JSONString.quoted("<\u{2028}") == "\"<\u{2028}\"")
  }
}
