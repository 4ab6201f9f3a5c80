import Foundation
import OutputFiles

extension ModelStore {
  /// Reads the entry's file and compares its SHA-256 with the catalogue's; for a conversion, with the one
  /// recorded when it was made.
  ///
  /// The result is remembered: `state(of:)` tells it until the file changes.
  /// - Returns: `present`, `corrupt`, or what `state(of:)` says when there is no file
  @discardableResult
  public func verify(
    _ entry: ModelEntry, progress: @escaping ModelProgress.Handler = { _ in }
  ) async throws -> ModelState {
    try await BlockingWork.run { cancellation in
      guard (try? FileFacts(of: path(for: entry))) != nil else { return state(of: entry) }
      let lock = try takeLock(entry, cancellation: cancellation, progress: progress)
      defer { withExtendedLifetime(lock) {} }
      return try verifyLocked(entry, cancellation: cancellation, progress: progress)
    }
  }

  /// The lock must be held.
  func verifyLocked(
    _ entry: ModelEntry, cancellation: BlockingWork.Cancellation, progress: ModelProgress.Handler
  ) throws -> ModelState {
    let file = path(for: entry)
    let before = state(of: entry)
    // A wrong size needs no reading.
    if case .corrupt = before, try FileFacts(of: file).bytes != entry.bytes { return before }
    let record = VerificationRecord.read(for: file)
    if entry.isConversion, record == nil {
      // Nothing says what it ought to be; making it again is cheap.
      return .corrupt("there is no record of its conversion")
    }
    let bytes = try FileFacts(of: file).bytes
    var last: Int64 = 0
    let digest = try FileDigest.sha256(of: file, cancellation: cancellation) { done in
      if done - last >= bytes / 200 {
        last = done
        progress(ModelProgress(model: entry.name, phase: .verifying, bytesDone: done, bytesTotal: bytes))
      }
    }
    if entry.isConversion {
      if let record, record.sha256 != digest {
        return .corrupt("its SHA-256 is \(digest) instead of \(record.sha256)")
      }
      try VerificationRecord(of: file, sha256: digest, convertedFrom: record?.convertedFrom).write(for: file)
    } else {
      try VerificationRecord(of: file, sha256: digest).write(for: file)
    }
    return state(of: entry)
  }

  func takeLock(
    _ entry: ModelEntry, cancellation: BlockingWork.Cancellation, progress: ModelProgress.Handler
  ) throws -> FileLock {
    try makeDirectory()
    return try FileLock(lockURL(of: entry), cancellation: cancellation) {
      progress(ModelProgress(model: entry.name, phase: .waiting, bytesDone: 0, bytesTotal: entry.bytes))
    }
  }

  /// Takes a file that the person got elsewhere: checks it against the catalogue and copies it into the store.
  ///
  /// - Throws: `ModelStoreError`, and the store is as it was, when the file is not the one that is listed
  public func add(
    _ source: URL, as entry: ModelEntry, progress: @escaping ModelProgress.Handler = { _ in }
  ) async throws {
    guard let expected = entry.sha256 else {
      throw ModelStoreError(
        .fileProblem, "\(entry.name) is converted on this machine and cannot be added",
        hint: "run: wanspec models pull \(entry.name)")
    }
    try await BlockingWork.run { cancellation in
      guard let facts = try? FileFacts(of: source) else {
        throw ModelStoreError(.fileProblem, "there is no file \(source.path)")
      }
      guard facts.bytes == entry.bytes else {
        throw ModelStoreError(
          .corrupt,
          "\(source.path) is not \(entry.name): it has \(facts.bytes) bytes instead of \(entry.bytes)",
          hint: "wanspec uses \(entry.fileName)")
      }
      let lock = try takeLock(entry, cancellation: cancellation, progress: progress)
      defer { withExtendedLifetime(lock) {} }
      removeTemporaries(of: entry)
      defer { removeTemporaries(of: entry) }
      let file = path(for: entry)
      let temporary = temporaryURL(of: entry)
      let digest = try copy([source], to: temporary, cancellation: cancellation) { done in
        progress(
          ModelProgress(model: entry.name, phase: .assembling, bytesDone: done, bytesTotal: entry.bytes))
      }
      guard digest == expected else {
        throw ModelStoreError(
          .corrupt, "\(source.path) is not \(entry.name): its SHA-256 is \(digest) instead of \(expected)",
          hint: "wanspec uses \(entry.fileName)")
      }
      try replace(file, with: temporary, sha256: digest)
    }
  }

  /// Joins files into one and returns its SHA-256.
  func copy(
    _ sources: [URL], to destination: URL, cancellation: BlockingWork.Cancellation,
    progress: (Int64) -> Void
  ) throws -> String {
    let output = try FileWork.on(destination) {
      try Data().write(to: destination)
      return try FileHandle(forWritingTo: destination)
    }
    defer { try? output.close() }
    var digest = IncrementalDigest()
    var total: Int64 = 0
    for source in sources {
      try FileDigest.forEachPiece(of: source, cancellation: cancellation) { piece, _ in
        digest.update(piece)
        try FileWork.on(destination) { try output.write(contentsOf: piece) }
        total += Int64(piece.count)
        progress(total)
      }
    }
    try FileWork.on(destination) { try output.synchronize() }
    return digest.finalize()
  }

  /// Gives a finished file its name, and records that it was checked.
  func replace(
    _ file: URL, with temporary: URL, sha256: String, convertedFrom: String? = nil
  ) throws {
    VerificationRecord.remove(for: file)
    // In one step: another process may open the file at any time.
    try FileWork.rename(temporary, to: file)
    // A file system's clock ticks every few milliseconds. What is written to the file within this tick must not
    // leave it with the recorded time; where the time cannot be set, only that is lost.
    try? FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSinceNow: -1)], ofItemAtPath: file.path)
    try VerificationRecord(of: file, sha256: sha256, convertedFrom: convertedFrom).write(for: file)
  }
}
