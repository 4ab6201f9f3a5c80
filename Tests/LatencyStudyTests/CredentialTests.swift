import Foundation
import LatencyStudy
import NIOCore
import NIOHTTP1
import NIOPosix
import Testing

@Suite struct CredentialTests {
  private func target(_ extra: String) throws -> Target {
    try campaign(target: "- {region: eu-west-3, api: bedrock-invoke, model: x\(extra)}").targets[1]
  }

  private func chain(_ environment: [String: String]) -> CredentialChain {
    // Nobody listens there.
    CredentialChain(
      environment: ["HOME": "/nonexistent", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9"]
        .merging(environment) {
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
    let chain = chain([
      "AWS_BEARER_TOKEN_BEDROCK": "B", "AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S",
    ])
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
    let files = [
      "AWS_SHARED_CREDENTIALS_FILE": folder.file("credentials"), "AWS_CONFIG_FILE": folder.file("config"),
    ]
    let plain = chain(files)
    #expect(
      try await plain.credential(for: target(""))
        == .keys(SigningKeys(accessKeyID: "D", secretAccessKey: "DS")))
    #expect(
      try await plain.credential(for: target(", profile: other"))
        == .keys(SigningKeys(accessKeyID: "O", secretAccessKey: "OS", sessionToken: "OT")))
    #expect(
      try await chain(files.merging(["AWS_PROFILE": "work"]) { $1 }).credential(for: target(""))
        == .keys(SigningKeys(accessKeyID: "W", secretAccessKey: "WS")))
    await #expect(throws: CredentialError.self) {
      try await plain.credential(for: target(", profile: nobody"))
    }
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

  /// A machine's metadata service: a token first, then the role's name, then its keys.
  private final class MetadataService: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      guard case .head(let head) = unwrapInboundIn(data) else { return }
      let path = "/latest/meta-data/iam/security-credentials/"
      let hasToken = head.headers.first(name: "x-aws-ec2-metadata-token") == "TOKEN"
      let body: String? =
        switch (head.method, head.uri, hasToken) {
        case (.PUT, "/latest/api/token", _)
        where head.headers.contains(name: "x-aws-ec2-metadata-token-ttl-seconds"): "TOKEN"
        case (.GET, path, true): "my-role\n"
        case (.GET, path + "my-role", true):
          #"{"AccessKeyId":"I","SecretAccessKey":"IS","Token":"IT","Expiration":"2099-01-01T00:00:00Z"}"#
        default: nil
        }
      let text = body ?? "no"
      let answer = HTTPResponseHead(
        version: .http1_1, status: body == nil ? .unauthorized : .ok,
        headers: ["content-length": "\(text.utf8.count)"])
      context.write(wrapOutboundOut(.head(answer)), promise: nil)
      context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: text)))), promise: nil)
      context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }
  }

  @Test func aMachinesRoleHasKeys() async throws {
    let service = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.configureHTTPServerPipeline()
          try channel.pipeline.syncOperations.addHandler(MetadataService())
        }
      }.bind(host: "127.0.0.1", port: 0).get()
    let port = try #require(service.localAddress?.port)
    let endpoint = ["AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:\(port)"]
    #expect(
      try await chain(endpoint).credential(for: target(""))
        == .keys(SigningKeys(accessKeyID: "I", secretAccessKey: "IS", sessionToken: "IT")))
    // Nobody is asked who was told not to.
    await #expect(throws: CredentialError.self) {
      try await chain(endpoint.merging(["AWS_EC2_METADATA_DISABLED": "true"]) { $1 }).credential(
        for: target(""))
    }
    try await service.close()
  }
}
