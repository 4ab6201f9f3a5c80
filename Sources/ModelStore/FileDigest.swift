import Crypto
import Foundation

/// SHA-256 of files, read in pieces so that memory stays flat.
enum FileDigest {
  static let pieceBytes = 1 << 22

  /// - Parameter progress: called with the number of bytes read so far, after each piece
  /// - Returns: lower-case hex
  static func sha256(
    of url: URL, cancellation: BlockingWork.Cancellation, progress: (Int64) -> Void = { _ in }
  ) throws -> String {
    var hash = SHA256()
    try forEachPiece(of: url, cancellation: cancellation) { piece, done in
      hash.update(data: piece)
      progress(done)
    }
    return hex(hash.finalize())
  }

  static func forEachPiece(
    of url: URL, cancellation: BlockingWork.Cancellation, _ body: (Data, Int64) throws -> Void
  ) throws {
    let handle: FileHandle
    do {
      handle = try FileHandle(forReadingFrom: url)
    } catch {
      throw ModelStoreError(
        .fileProblem, "cannot read \(url.path)", hint: "check that it exists and its permissions")
    }
    defer { try? handle.close() }
    var done: Int64 = 0
    while true {
      try cancellation.check()
      // Foundation on macOS returns autoreleased data; without a pool a 3 GB file would stay in memory.
      let piece = try autoreleasing { try handle.read(upToCount: pieceBytes) }
      guard let piece, !piece.isEmpty else { return }
      done += Int64(piece.count)
      try body(piece, done)
    }
  }

  static func hex(_ digest: SHA256Digest) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  private static func autoreleasing<T>(_ body: () throws -> T) rethrows -> T {
    #if canImport(Darwin)
      return try autoreleasepool(invoking: body)
    #else
      return try body()
    #endif
  }
}

/// SHA-256 of bytes that arrive in pieces.
struct IncrementalDigest {
  private var hash = SHA256()
  mutating func update(_ data: Data) { hash.update(data: data) }
  func finalize() -> String { FileDigest.hex(hash.finalize()) }
}
