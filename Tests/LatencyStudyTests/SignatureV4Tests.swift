import Foundation
import LatencyStudy
import Testing

/// Against signatures that botocore 1.43 made of the same requests with the same keys at the same time.
@Suite struct SignatureV4Tests {
  /// 2026-11-26 01:02:03 UTC.
  private static let date = Date(timeIntervalSince1970: 1_795_654_923)

  private func signer(_ region: String, token: String? = nil) -> SignatureV4 {
    SignatureV4(
      keys: SigningKeys(
        accessKeyID: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        sessionToken: token), region: region)
  }

  @Test func aStreamedRequestIsSignedAsByOthers() throws {
    let model = try BedrockModelID("anthropic.claude-3-haiku-20240307-v1:0")
    let headers = signer("us-east-1").headers(
      method: "POST", path: model.path("converse-stream"),
      headers: [("host", "bedrock-runtime.us-east-1.amazonaws.com"), ("content-type", "application/json")],
      body: Array(#"{"messages":[]}"#.utf8), date: Self.date)
    #expect(headers.map(\.name) == ["x-amz-date", "authorization"])
    #expect(headers[0].value == "20261126T010203Z")
    #expect(
      headers[1].value
        == "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261126/us-east-1/bedrock/aws4_request, "
        + "SignedHeaders=content-type;host;x-amz-date, "
        + "Signature=f23df5a5418888ec7344e47020533e61e12ebf5a0302d0a235c474c6fdfc87b4")
  }

  @Test func temporaryKeysSignTheirToken() throws {
    let model = try BedrockModelID("meta.llama3-8b-instruct-v1:0")
    let headers = signer("ap-south-1", token: "IQoJb3JpZ2luX2VjE//token==").headers(
      method: "POST", path: model.path("invoke-with-response-stream"),
      headers: [
        ("host", "127.0.0.1:8443"), ("content-type", "application/json"),
        ("accept", "application/vnd.amazon.eventstream"),
      ], body: Array(#"{"prompt":"é"}"#.utf8), date: Self.date)
    #expect(headers.map(\.name) == ["x-amz-date", "x-amz-security-token", "authorization"])
    #expect(
      headers[2].value.hasSuffix(
        "SignedHeaders=accept;content-type;host;x-amz-date;x-amz-security-token, "
          + "Signature=3047c9e8156ea537565798f017d7abbc67874d0ee40d6c5108e27fced2123f06"))
  }

  @Test func anEmptyBodyIsSignedToo() {
    let headers = signer("eu-west-2").headers(
      method: "GET", path: "/", headers: [("host", "example.com")], body: [], date: Self.date)
    #expect(
      headers[1].value.hasSuffix("Signature=00e1f74db25a25b2beb8cc011b2184a05d0b3d18c33a336e7dc1a0456a985db1")
    )
  }

  @Test func secretsDoNotGetIntoDescriptions() {
    let keys = SigningKeys(accessKeyID: "AKIDEXAMPLE", secretAccessKey: "hidden", sessionToken: "token")
    #expect("\(keys) \(String(reflecting: keys))" == "keys AKIDEXAMPLE keys AKIDEXAMPLE")
  }
}

@Suite struct BedrockModelIDTests {
  @Test func colonsAndSlashesAreEncoded() throws {
    #expect(
      try BedrockModelID("amazon.nova-lite-v1:0").path("converse-stream")
        == "/model/amazon.nova-lite-v1%3A0/converse-stream")
    #expect(
      try BedrockModelID("arn:aws:bedrock:us-east-1:123456789012:imported-model/abc").path("converse-stream")
        == "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aimported-model%2Fabc/converse-stream")
  }

  @Test(arguments: [
    "us.anthropic.claude-3-haiku-20240307-v1:0", "eu.amazon.nova-lite-v1:0", "apac.amazon.nova-lite-v1:0",
    "global.anthropic.claude-sonnet-4-20250514-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdef",
  ])
  func inferenceProfilesAreRefusedWithTheReason(id: String) {
    let error = #expect(throws: BedrockModelID.Refusal.self) { try BedrockModelID(id) }
    #expect(error?.description.contains("the provider picks the region") == true)
  }

  @Test(arguments: ["", "a model", "näme", "a?b", String(repeating: "x", count: 2049)])
  func otherTextIsNoModel(id: String) {
    #expect(throws: BedrockModelID.Refusal.self) { try BedrockModelID(id) }
  }
}
