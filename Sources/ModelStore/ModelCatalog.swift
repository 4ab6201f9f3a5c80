import Spelling

/// The models that the product knows by name: where each file comes from and how to tell that it is whole.
public struct ModelCatalog: Sendable {
  public var entries: [ModelEntry]

  public init(entries: [ModelEntry]) { self.entries = entries }

  /// The entry of that name; names are compared without regard to case.
  public subscript(name: String) -> ModelEntry? {
    let wanted = name.lowercased()
    return entries.first { $0.name == wanted }
  }

  /// Names that somebody may have meant by `name`, best first, three at most.
  public func namesNear(_ name: String) -> [String] {
    let wanted = Array(name.lowercased().utf8)
    return
      entries
      .map { entry in
        let known = Array(entry.name.utf8)
        // People leave the end of long names out, so the beginning alone may match.
        let beginning = EditDistance.between(wanted, Array(known.prefix(wanted.count)))
        return (name: entry.name, distance: min(EditDistance.between(wanted, known), beginning))
      }
      .filter { $0.name.contains(name.lowercased()) || $0.distance <= wanted.count / 3 }
      .sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }
      .prefix(3)
      .map(\.name)
  }
}

/// One model file.
public struct ModelEntry: Sendable, Hashable {
  /// Where the bytes come from.
  public enum Source: Sendable, Hashable {
    /// The members of packages, joined in order.
    case packages([ModelPart])
    /// Made on this machine from another entry, by converting its weights to `type` ("bf16", "q2_k"...).
    case conversion(of: String, type: String)
  }

  /// Lower case: "qwen2.5-coder-1.5b-instruct".
  public var name: String
  /// Name of the file in the store.
  public var fileName: String
  /// For people: "Qwen2.5-Coder 1.5B Instruct, Q4_K_M".
  public var summary: String
  /// SPDX identifier of the weights' licence.
  public var license: String
  /// Size of the file. For a conversion an estimate, since it depends on the engine's version.
  public var bytes: Int64
  /// SHA-256 of the file, in lower-case hex; nil for a conversion, whose digest is recorded when it is made.
  public var sha256: String?
  public var source: Source
  /// The same file elsewhere, for people who would rather fetch it themselves: repository and file name.
  public var huggingFace: HuggingFaceFile?

  public init(
    name: String, fileName: String, summary: String, license: String, bytes: Int64, sha256: String?,
    source: Source, huggingFace: HuggingFaceFile? = nil
  ) {
    self.name = name
    self.fileName = fileName
    self.summary = summary
    self.license = license
    self.bytes = bytes
    self.sha256 = sha256
    self.source = source
    self.huggingFace = huggingFace
  }

  public var isConversion: Bool {
    if case .conversion = source { true } else { false }
  }
}

/// A piece of a model file: one member of one Python wheel.
public struct ModelPart: Sendable, Hashable {
  public var package: String
  public var version: String
  /// Path inside the wheel.
  public var member: String
  public var bytes: Int64
  /// SHA-256 of the member, in lower-case hex.
  public var sha256: String

  public init(package: String, version: String, member: String, bytes: Int64, sha256: String) {
    self.package = package
    self.version = version
    self.member = member
    self.bytes = bytes
    self.sha256 = sha256
  }
}

/// A file on Hugging Face.
public struct HuggingFaceFile: Sendable, Hashable {
  public var repository: String
  public var file: String

  public init(repository: String, file: String) {
    self.repository = repository
    self.file = file
  }
}
