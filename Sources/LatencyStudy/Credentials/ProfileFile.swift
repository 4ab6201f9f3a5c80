import Foundation

/// AWS's files of profiles: `~/.aws/credentials`, then `~/.aws/config`.
enum ProfileFile {
  private static let maxBytes = 1 << 20

  static func paths(_ environment: [String: String]) -> [String] {
    let home = environment["HOME"] ?? NSHomeDirectory()
    return [
      environment["AWS_SHARED_CREDENTIALS_FILE"] ?? "\(home)/.aws/credentials",
      environment["AWS_CONFIG_FILE"] ?? "\(home)/.aws/config",
    ]
  }

  /// - Returns: nil where neither file has keys for the profile
  static func keys(profile: String, environment: [String: String]) throws -> SigningKeys? {
    for (index, path) in paths(environment).enumerated() {
      guard let data = FileManager.default.contents(atPath: path), data.count <= maxBytes else { continue }
      // The config file calls all but the default "profile NAME".
      let names = index == 0 || profile == "default" ? [profile] : ["profile \(profile)", profile]
      let sections = sections(of: String(decoding: data, as: UTF8.self))
      for name in names {
        guard let section = sections[name] else { continue }
        if let id = section["aws_access_key_id"], let secret = section["aws_secret_access_key"] {
          return SigningKeys(
            accessKeyID: id, secretAccessKey: secret, sessionToken: section["aws_session_token"])
        }
        let foreign = ["credential_process", "sso_session", "sso_start_url", "role_arn"].first {
          section[$0] != nil
        }
        if let foreign {
          throw CredentialError(
            "\(path): the profile \"\(profile)\" gets its keys by \(foreign), which wanspec does not do",
            hint: "eval \"$(aws configure export-credentials --profile \(profile) --format env)\"")
        }
      }
    }
    return nil
  }

  static func sections(of text: String) -> [String: [String: String]] {
    var sections: [String: [String: String]] = [:]
    var current: String?
    for line in text.split(whereSeparator: \.isNewline) {
      let trimmed = line.trimmingCharacters(in: .whitespaces)
      if trimmed.isEmpty || trimmed.hasPrefix("#") || trimmed.hasPrefix(";") { continue }
      if trimmed.hasPrefix("["), let end = trimmed.firstIndex(of: "]") {
        let name = trimmed[trimmed.index(after: trimmed.startIndex)..<end]
        current = name.split(separator: " ").joined(separator: " ")
      } else if let current, let equals = trimmed.firstIndex(of: "=") {
        let key = trimmed[..<equals].trimmingCharacters(in: .whitespaces).lowercased()
        sections[current, default: [:]][key] =
          trimmed[trimmed.index(after: equals)...].trimmingCharacters(in: .whitespaces)
      }
    }
    return sections
  }
}
