import Foundation

/// Finds what a target wants to be shown: a key of the environment, or AWS keys where AWS's own programs look for them,
/// in their order: environment, profile files, instance metadata.
public actor CredentialChain {
  private struct Temporary {
    var keys: SigningKeys
    /// When they end; nil for keys without an end.
    var expires: Date?
  }

  private let environment: [String: String]
  private let metadata: InstanceMetadata
  private var found: [String?: Temporary] = [:]

  public init(environment: [String: String]) {
    self.environment = environment
    metadata = InstanceMetadata(environment: environment)
  }

  /// - Throws: `CredentialError`
  public func credential(for target: Target) async throws -> Credential {
    switch target.authentication {
    case .none: return .none
    case .bearer(let variable):
      guard let key = environment[variable], !key.isEmpty else {
        throw CredentialError(
          "\(target.name): the environment variable \(variable) is not set", hint: "export \(variable)=...")
      }
      guard key.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
        throw CredentialError(
          "\(target.name): the key in \(variable) has a character that no header may have")
      }
      return .bearer(key)
    case .signature(let profile):
      // As AWS's programs do: a bearer key in the environment goes before signing.
      if profile == nil, let key = environment["AWS_BEARER_TOKEN_BEDROCK"], !key.isEmpty {
        return .bearer(key)
      }
      return .keys(try await keys(profile: profile, target: target.name))
    }
  }

  private func keys(profile: String?, target: String) async throws -> SigningKeys {
    // Early enough that a signature made now is still good when it arrives.
    if let known = found[profile], known.expires.map({ $0.timeIntervalSinceNow > 300 }) ?? true {
      return known.keys
    }
    let keys = try await search(profile: profile, target: target)
    found[profile] = keys
    return keys.keys
  }

  private func search(profile: String?, target: String) async throws -> Temporary {
    if profile == nil, let id = environment["AWS_ACCESS_KEY_ID"],
      let secret = environment["AWS_SECRET_ACCESS_KEY"],
      !id.isEmpty, !secret.isEmpty
    {
      let token = environment["AWS_SESSION_TOKEN"].flatMap { $0.isEmpty ? nil : $0 }
      return Temporary(keys: SigningKeys(accessKeyID: id, secretAccessKey: secret, sessionToken: token))
    }
    let named = profile ?? environment["AWS_PROFILE"]
    if let keys = try ProfileFile.keys(profile: named ?? "default", environment: environment) {
      return Temporary(keys: keys)
    }
    if let named {
      throw CredentialError(
        "\(target): no keys for the profile \"\(named)\" in \(ProfileFile.paths(environment).joined(separator: " or "))",
        hint: "aws configure --profile \(named)")
    }
    if environment["AWS_EC2_METADATA_DISABLED"]?.lowercased() != "true", let temporary = await metadata.keys()
    {
      return Temporary(keys: temporary.keys, expires: temporary.expires)
    }
    throw CredentialError(
      "\(target): no AWS keys in the environment, in profile files or in the instance's metadata",
      hint:
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_BEARER_TOKEN_BEDROCK, or run: aws configure")
  }
}
