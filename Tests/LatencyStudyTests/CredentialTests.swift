import Foundation
import LatencyStudy
import Testing

@Suite struct CredentialTests {
  private func target(_ extra: String) throws -> Target {
    try campaign(target: "- {region: eu-west-3, api: bedrock-invoke, model: x\(extra)}").targets[1]
  }

  private func chain(_ environment: [String: String]) -> CredentialChain {
    // Nobody listens there.
    CredentialChain(
      environment: ["HOME": "/nonexistent", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9"].merging(environment) {
        $1
      })
  }

  @Test func keysComeFromTheEnvironmentFirst() async throws {
    let chain = chain(["AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S", "AWS_SESSION_TOKEN": "T"])
    #expect(
      try await chain.credential(for: target(""))
        == .keys(SigningKeys(accessKeyID: "A", secretAccessKey: "S", sessionToken: "T")))
  }

  @Test func aBearerKeyGoesBeforeSigning() async throws {
    let chain = chain(["AWS_BEARER_TOKEN_BEDROCK": "B", "AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S"])
    #expect(try await chain.credential(for: target("")) == .bearer("B"))
    #expect(try await chain.credential(for: target(", key-variable: AWS_SECRET_ACCESS_KEY")) == .bearer("S"))
  }

  @Test func profilesAreRead() async throws {
    let folder = try TemporaryFolder()
    try """
    # mine
    [default]
    aws_access_key_id = D
    aws_secret_access_key=  DS
    [ other ]
    aws_access_key_id = O
    aws_secret_access_key = OS
    aws_session_token = OT
    """.write(toFile: folder.file("credentials"), atomically: true, encoding: .utf8)
    try """
    [profile work]
    aws_access_key_id = W
    aws_secret_access_key = WS
    [profile login]
    sso_session = x
    """.write(toFile: folder.file("config"), atomically: true, encoding: .utf8)
    let files = ["AWS_SHARED_CREDENTIALS_FILE": folder.file("credentials"), "AWS_CONFIG_FILE": folder.file("config")]
    let plain = chain(files)
    #expect(
      try await plain.credential(for: target("")) == .keys(SigningKeys(accessKeyID: "D", secretAccessKey: "DS")))
    #expect(
      try await plain.credential(for: target(", profile: other"))
        == .keys(SigningKeys(accessKeyID: "O", secretAccessKey: "OS", sessionToken: "OT")))
    #expect(
      try await chain(files.merging(["AWS_PROFILE": "work"]) { $1 }).credential(for: target(""))
        == .keys(SigningKeys(accessKeyID: "W", secretAccessKey: "WS")))
    await #expect(throws: CredentialError.self) { try await plain.credential(for: target(", profile: nobody")) }
    do {
      _ = try await plain.credential(for: target(", profile: login"))
      Issue.record("a profile without keys gave some")
    } catch { #expect("\(error)".contains("sso_session")) }
  }

  @Test func missingKeysAreNamed() async throws {
    do {
      _ = try await chain(["AWS_EC2_METADATA_DISABLED": "true"]).credential(for: target(""))
      Issue.record("keys came from nowhere")
    } catch { #expect("\(error)".contains("no AWS keys")) }
    do {
      _ = try await chain([:]).credential(for: target(", key-variable: SOME_KEY"))
      Issue.record("a key came from nowhere")
    } catch { #expect("\(error)" == "eu-west-3: the environment variable SOME_KEY is not set") }
    await #expect(throws: CredentialError.self) {
      try await chain(["SOME_KEY": "a\r\nb"]).credential(for: target(", key-variable: SOME_KEY"))
    }
  }
}
