import Failures
import Foundation
import OutputFiles
import Testing

struct ErrorWordsTests {
  /// Places in a library's source are nothing to people.
  @Test(arguments: [
    ("bad frame (at NIOHTTP2/Parser.swift:94)", "bad frame"),
    ("InvalidStatusValue(value: x, location: NIOHTTP2/HTTP2Error.swift:12)", "InvalidStatusValue(value: x)"),
    (
      "error:100000f7:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER at /work/x/tls_record.cc:94",
      "error:100000f7:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER"
    ),
    ("ASN1Error.invalidPEM: no header SwiftASN1/PEM.swift:7", "ASN1Error.invalidPEM: no header"),
    ("cannot read 10.0.0.1:80", "cannot read 10.0.0.1:80"),
  ])
  func placesInSourcesAreLeftOut(text: String, shown: String) { #expect(text.withoutSourcePlaces == shown) }

  @Test func foundationsErrorsAreSentences() throws {
    let error = #expect(throws: (any Error).self) {
      try Data(contentsOf: URL(filePath: "/nowhere/at/all"))
    }
    let shown = try #require(SystemProblem.sentence(error!))
    #expect(shown.contains("/nowhere/at/all") && shown.contains("No such file or directory"), "\(shown)")
    #expect(!shown.contains("NSCocoaErrorDomain"))
    #expect(SystemProblem.sentence(CancellationError()) == nil)
  }

  @Test func wrongJSONIsToldByItsPlace() throws {
    struct Item: Decodable { var size: Int }
    for (text, words) in [
      (#"[{"size": 1}, {"size": "x"}]"#, "[1].size: must be a Int"), (#"[{}]"#, "[0].size: missing"),
    ] {
      let error = #expect(throws: DecodingError.self) {
        try JSONDecoder().decode([Item].self, from: Data(text.utf8))
      }
      #expect(error?.words == words)
    }
  }
}
