import Foundation
import Reporting
import Testing

@Suite struct DataTableTests {
  private let table = DataTable(
    ["name", .init("value", title: "Value", unit: "ms", decimals: 1), "note"],
    rows: [
      ["plain", 1, "a,b"], ["quo\"te", 0.1, "line\nbreak"], ["crlf\r\n", -0.0, " space"],
      ["é 🚢", 1e300, nil], ["nan", .number(.nan), .number(.infinity)], ["big", 123_456_789.25, ""],
      ["small", 1e-7, "</script>"],
    ])

  @Test func csvFollowsTheStandard() {
    #expect(
      table.csv() == "name,value,note\r\nplain,1,\"a,b\"\r\n\"quo\"\"te\",0.1,\"line\nbreak\"\r\n"
        + "\"crlf\r\n\",0,\" space\"\r\né 🚢,1e+300,\r\nnan,,\r\nbig,123456789.25,\r\nsmall,1e-07,</script>\r\n"
    )
    #expect(DataTable(["a", "b,c"]).csv() == "a,\"b,c\"\r\n")
  }

  @Test func jsonKeepsTheOrderOfColumnsAndKnowsNoSpecialNumbers() throws {
    let text = table.json()
    #expect(text.hasPrefix("[\n{\"name\":\"plain\",\"value\":1,\"note\":\"a,b\"},\n{"))
    let rows = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]])
    #expect(rows.count == 7)
    #expect(rows[1]["name"] as? String == "quo\"te")
    #expect(rows[4]["value"] is NSNull && rows[4]["note"] is NSNull)
    #expect(rows[5]["value"] as? Double == 123_456_789.25)
    #expect(rows[6]["note"] as? String == "</script>")
    #expect(DataTable(["a"]).json() == "[\n]\n")
  }

  @Test func partsKeepTheirOrder() {
    let part = table.filtered("value") { $0 == .number(1) }.selecting(["note", "name"])
    #expect(part.csv() == "note,name\r\n\"a,b\",plain\r\n")
  }
}
