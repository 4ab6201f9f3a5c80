import Foundation
import PackedBytes

/// The lines of a recording's file, unpacked as they are asked for, so that a file that promises too much costs no more
/// than what has been read of it.
struct RecordingLines {
  private let name: String
  private let packed: CountedBytes
  private let source: UnpackedBytes
  private var chunk: ArraySlice<UInt8> = []
  private var unpacked = 0
  /// From 1; 0 before the first.
  private(set) var number = 0

  /// - Parameter name: what errors call the file
  init(_ bytes: any ByteSource, name: String) throws(RecordingError) {
    self.name = name
    packed = CountedBytes(bytes)
    let first: [UInt8]
    do { first = try packed.next() ?? [] } catch {
      throw RecordingError(name, "cannot be read: check the path and its permissions")
    }
    source = UnpackedBytes(packed, first: first)
  }

  /// The next line that is not empty, without its end; nil at the end of the file.
  mutating func next() throws(RecordingError) -> [UInt8]? {
    var line: [UInt8] = []
    var isEnded = false
    while !isEnded {
      if chunk.isEmpty {
        guard let more = try refill() else { break }
        chunk = more[...]
      }
      let end = chunk.firstIndex(of: 0x0A)
      line += chunk[..<(end ?? chunk.endIndex)]
      chunk = end.map { chunk[($0 + 1)...] } ?? []
      guard line.count <= Recording.maxLineBytes else {
        throw RecordingError(
          name, line: number + 1, "is longer than \(Recording.maxLineBytes >> 20) MiB")
      }
      isEnded = end != nil && !line.isEmpty
    }
    guard !line.isEmpty else { return nil }
    number += 1
    return line
  }

  private mutating func refill() throws(RecordingError) -> [UInt8]? {
    let more: [UInt8]?
    do { more = try source.next() } catch {
      switch error as? UnpackingFailure {
      case .truncated: throw RecordingError(name, "ends too early; copy or record it again")
      case .damaged: throw RecordingError(name, "is not a recording (gzip), or is damaged")
      case nil: throw RecordingError(name, "cannot be read: check the path and its permissions")
      }
    }
    unpacked += more?.count ?? 0
    guard packed.count <= Recording.maxFileBytes else {
      throw RecordingError(name, "is larger than \(Recording.maxFileBytes >> 20) MiB")
    }
    guard unpacked <= max(Recording.freeTextBytes, packed.count * Recording.maxRatio) else {
      throw RecordingError(
        name,
        "unpacks to more than \(Recording.maxRatio) times its size, which no recording does: it is not read on"
      )
    }
    return more
  }
}

/// Bytes of another source, counted.
private final class CountedBytes: ByteSource {
  private let source: any ByteSource
  private(set) var count = 0

  init(_ source: any ByteSource) { self.source = source }

  func next() throws -> [UInt8]? {
    let chunk = try source.next()
    count += chunk?.count ?? 0
    return chunk
  }
}
