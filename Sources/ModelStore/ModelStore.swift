import Foundation

/// Model files on this machine: where they are, whether they are whole, how to get them.
///
/// Layout of the folder: `FILE` is complete and was checked when it got that name; `.FILE.verified` records
/// its digest; `FILE.parts/NN` are checked parts of a download under way; `FILE.tmp` is being written;
/// `.NAME.lock` is held by whoever works on it. Nothing else is ever left behind, and everything but `FILE`
/// may be removed at any time.
///
/// A store is a value without state of its own: everything is in the folder, which several processes share.
public struct ModelStore: Sendable {
  public var catalog: ModelCatalog
  /// The folder of the model files. Created when first needed.
  public var directory: URL
  /// Parts downloaded at a time.
  public var parallelDownloads = 3
  /// A download of which nothing arrives for so long is given up. Longer than pip's own patience with one request and
  /// its repetitions.
  public var stallLimit = Duration.seconds(120)
  var downloader: PackageDownloader

  /// - Parameters:
  ///   - directory: nil for `models` in the cache (`cacheDirectory`)
  ///   - pipArguments: further arguments of `pip download`, such as `--no-index --find-links FOLDER`
  ///   - environment: of the programs that are run; also says where the cache is
  public init(
    catalog: ModelCatalog = .builtIn, directory: URL? = nil, pipArguments: [String] = [],
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) {
    let cache = Self.cacheDirectory(environment: environment)
    self.catalog = catalog
    self.directory = directory ?? cache.appending(path: "models")
    downloader = PackageDownloader(
      pipArguments: pipArguments, environment: environment,
      toolsFolder: directory ?? cache.appending(path: "tools"))
  }

  /// `WANSPEC_CACHE`, else `wanspec` in `XDG_CACHE_HOME`, else `~/.cache/wanspec`.
  public static func cacheDirectory(
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) -> URL {
    if let folder = environment["WANSPEC_CACHE"], !folder.isEmpty { return URL(filePath: folder) }
    if let folder = environment["XDG_CACHE_HOME"], !folder.isEmpty {
      return URL(filePath: folder).appending(path: "wanspec")
    }
    let home =
      environment["HOME"].map { URL(filePath: $0) } ?? FileManager.default.homeDirectoryForCurrentUser
    return home.appending(path: ".cache/wanspec")
  }

  /// Where the entry's file is or will be.
  public func path(for entry: ModelEntry) -> URL { directory.appending(path: entry.fileName) }

  /// The catalogue's entry of that name.
  /// - Throws: `ModelStoreError` that names similar ones
  public func entry(named name: String) throws -> ModelEntry {
    if let entry = catalog[name] { return entry }
    let near = catalog.namesNear(name)
    throw ModelStoreError(
      .unknownModel, "there is no model called \(name) in the catalogue",
      hint: near.isEmpty
        ? "wanspec models list shows all" : "did you mean \(near.formatted(.list(type: .or)))?")
  }

  /// The file that a person means by a catalogue name or a path.
  ///
  /// It looks at sizes only; `verify` reads the bytes.
  /// - Throws: `ModelStoreError` with what to do
  public func resolve(_ nameOrPath: String) throws -> URL {
    if let entry = catalog[nameOrPath] {
      switch state(of: entry) {
      case .present, .unverified: return path(for: entry)
      case .corrupt(let reason):
        throw ModelStoreError(
          .corrupt, "\(path(for: entry).path) is damaged: \(reason)",
          hint: "run: wanspec models pull \(entry.name)")
      case .absent, .partial:
        throw ModelStoreError(
          .notPulled, "the model \(entry.name) has not been downloaded",
          hint: "run: wanspec models pull \(entry.name)")
      }
    }
    var isFolder: ObjCBool = false
    let exists = FileManager.default.fileExists(atPath: nameOrPath, isDirectory: &isFolder)
    if exists, !isFolder.boolValue { return URL(filePath: nameOrPath) }
    if exists {
      throw ModelStoreError(.unknownModel, "\(nameOrPath) is a folder", hint: "name a .gguf file in it")
    }
    if nameOrPath.contains("/") || nameOrPath.lowercased().hasSuffix(".gguf") {
      throw ModelStoreError(
        .unknownModel, "there is no file \(nameOrPath)", hint: "wanspec models list shows models by name")
    }
    return path(for: try entry(named: nameOrPath))
  }

  /// What is known of the entry's file without reading it.
  public func state(of entry: ModelEntry) -> ModelState {
    let file = path(for: entry)
    guard let facts = try? FileFacts(of: file) else {
      let parts = downloadedBytes(of: entry)
      return parts > 0 ? .partial(bytes: parts) : .absent
    }
    let record = VerificationRecord.read(for: file)
    if let expected = entry.isConversion ? record?.bytes : entry.bytes, expected != facts.bytes {
      return .corrupt("it has \(facts.bytes) bytes instead of \(expected)")
    }
    if case .conversion(let base, _) = entry.source, let record, let expected = catalog[base]?.sha256,
      record.convertedFrom != expected
    {
      return .corrupt("it was converted from another version of \(base)")
    }
    guard let record, record.bytes == facts.bytes, record.modified == facts.modified else {
      return .unverified
    }
    if let expected = entry.sha256, expected != record.sha256 {
      return .corrupt("its SHA-256 is \(record.sha256) instead of \(expected)")
    }
    return .present
  }

  /// Bytes of finished parts.
  private func downloadedBytes(of entry: ModelEntry) -> Int64 {
    guard case .packages(let parts) = entry.source else { return 0 }
    return parts.indices.reduce(0) { sum, index in
      let facts = try? FileFacts(of: partURL(of: entry, index: index))
      return sum + (facts?.bytes == parts[index].bytes ? parts[index].bytes : 0)
    }
  }

  func partsFolder(of entry: ModelEntry) -> URL { directory.appending(path: entry.fileName + ".parts") }

  func partURL(of entry: ModelEntry, index: Int) -> URL {
    partsFolder(of: entry).appending(path: index < 9 ? "0\(index + 1)" : "\(index + 1)")
  }

  func temporaryURL(of entry: ModelEntry) -> URL { directory.appending(path: entry.fileName + ".tmp") }

  func lockURL(of entry: ModelEntry) -> URL { directory.appending(path: ".\(entry.name).lock") }

  func makeDirectory() throws {
    try FileWork.on(directory) {
      try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    }
  }

  /// Free space for this user on the store's disk, in bytes; nil when the system does not say.
  public var freeBytes: Int64? {
    // The folder may not exist yet; its nearest existing parent is on the same disk.
    var folder = directory
    while !FileManager.default.fileExists(atPath: folder.path), folder.path != "/" {
      folder = folder.deletingLastPathComponent()
    }
    let attributes = try? FileManager.default.attributesOfFileSystem(forPath: folder.path)
    return (attributes?[.systemFreeSize] as? NSNumber)?.int64Value
  }
}

/// What is known of a model's file.
public enum ModelState: Sendable, Hashable {
  case absent
  /// A download was interrupted; this many bytes are here and checked.
  case partial(bytes: Int64)
  /// A file of the right size that nobody has checked since it last changed.
  case unverified
  /// Checked, and not changed since.
  case present
  /// Not the file that the catalogue means; the reason is for people.
  case corrupt(String)

  /// "absent", "partial"...
  public var name: String {
    switch self {
    case .absent: "absent"
    case .partial: "partial"
    case .unverified: "unverified"
    case .present: "present"
    case .corrupt: "corrupt"
    }
  }
}
