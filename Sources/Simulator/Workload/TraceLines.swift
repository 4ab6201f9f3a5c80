import Foundation
import OutputFiles
import PackedBytes

/// The lines of a file, one at a time: a file of gigabytes takes the memory of a chunk and a line.
final class TraceLines {
  /// Bytes of a line. Mooncake's longest name each block of their prompts, in a few thousand bytes.
  static let maxLength = 64 << 10
  private static let chunkLength = 256 << 10

  private let path: String
  private let source: any ByteSource
  private var chunk: [UInt8] = []
  private var position = 0
  /// From 1; 0 before the first.
  private(set) var number = 0
  /// The current line, without its end.
  private(set) var bytes: [UInt8] = []

  init(_ path: String) throws(TraceError) {
    self.path = path
    do {
      let file = FileBytes(try FileHandle(forReadingFrom: URL(fileURLWithPath: path)), Self.chunkLength)
      let first = try file.next() ?? []
      if first.starts(with: PackedFormat.gzipMagic) {
        source = UnpackedBytes(file, first: first)
      } else {
        source = file
        chunk = first
      }
    } catch {
      throw TraceError(path, "cannot be read", hint: "check the path and its permissions")
    }
  }

  /// Whether there is another line, which `bytes` holds then. A line ends with LF, CR LF, or the file.
  func next() throws(TraceError) -> Bool {
    bytes.removeAll(keepingCapacity: true)
    number += 1
    var isEnded = false
    while !isEnded {
      if position >= chunk.count {
        guard try refill() else {
          guard !bytes.isEmpty else { return false }
          break
        }
      }
      let end = Self.index(of: 0x0A, in: chunk, from: position)
      let part = chunk[position..<(end ?? chunk.count)]
      guard bytes.count + part.count <= Self.maxLength else {
        throw TraceError(
          path, line: number, "the line is longer than \(Self.maxLength >> 10) KiB",
          hint: "a trace has a line for each request")
      }
      bytes += part
      position = (end ?? chunk.count) + 1
      isEnded = end != nil
    }
    if number == 1, bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
    if bytes.last == 0x0D { bytes.removeLast() }
    if let index = Self.index(of: 0, in: bytes, from: 0) {
      throw TraceError(
        path, line: number, column: index + 1, "the line has a NUL byte",
        hint: "a trace is plain text in UTF-8, or gzip of it; iconv converts from UTF-16")
    }
    return true
  }

  /// Most of the time that a trace takes would go into a loop over its bytes.
  private static func index(of byte: UInt8, in bytes: [UInt8], from start: Int) -> Int? {
    bytes.withUnsafeBytes { buffer in
      guard start < buffer.count, let base = buffer.baseAddress,
        let found = memchr(base + start, Int32(byte), buffer.count - start)
      else { return nil }
      return base.distance(to: UnsafeRawPointer(found))
    }
  }

  private func refill() throws(TraceError) -> Bool {
    position = 0
    do {
      chunk = try source.next() ?? []
    } catch let failure as UnpackingFailure {
      throw TraceError(
        path, line: number,
        failure == .truncated ? "the compressed file ends too early" : "the compressed file is damaged",
        hint: "copy it again; gzip -t tells whether it is whole")
    } catch {
      throw TraceError(path, line: number, "cannot be read any further: \(SystemProblem.words(error))")
    }
    return !chunk.isEmpty
  }
}

/// A file's bytes.
final class FileBytes: ByteSource {
  private let handle: FileHandle
  private let chunkLength: Int

  init(_ handle: FileHandle, _ chunkLength: Int) {
    self.handle = handle
    self.chunkLength = chunkLength
  }

  deinit { try? handle.close() }

  func next() throws -> [UInt8]? { try handle.read(upToCount: chunkLength).map { [UInt8]($0) } }
}
