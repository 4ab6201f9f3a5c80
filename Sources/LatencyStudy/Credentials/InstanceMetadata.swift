import Foundation

/// Keys of the role of the machine that this runs on (EC2's instance metadata service, version 2).
struct InstanceMetadata: Sendable {
  private let base: String

  init(environment: [String: String]) {
    base = environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] ?? "http://169.254.169.254"
  }

  private struct Document: Decodable {
    var accessKeyID: String
    var secretAccessKey: String
    var token: String
    var expiration: String

    enum CodingKeys: String, CodingKey {
      case accessKeyID = "AccessKeyId"
      case secretAccessKey = "SecretAccessKey"
      case token = "Token"
      case expiration = "Expiration"
    }
  }

  /// - Returns: nil where there is no such service, or the machine has no role
  func keys() async -> (keys: SigningKeys, expires: Date?)? {
    let path = "/latest/meta-data/iam/security-credentials/"
    guard let base = try? Endpoint(base),
      let token = try? await PlainHTTP.text(
        base, "PUT", "/latest/api/token", headers: [("x-aws-ec2-metadata-token-ttl-seconds", "21600")]),
      let role = try? await PlainHTTP.text(base, "GET", path, headers: [("x-aws-ec2-metadata-token", token)])
        .split(whereSeparator: \.isNewline).first,
      let text = try? await PlainHTTP.text(
        base, "GET", path + role, headers: [("x-aws-ec2-metadata-token", token)]),
      let document = try? JSONDecoder().decode(Document.self, from: Data(text.utf8))
    else { return nil }
    let keys = SigningKeys(
      accessKeyID: document.accessKeyID, secretAccessKey: document.secretAccessKey,
      sessionToken: document.token)
    return (keys, try? Date(document.expiration, strategy: .iso8601))
  }
}
