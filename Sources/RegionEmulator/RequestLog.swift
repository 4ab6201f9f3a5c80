import Foundation
import NIOConcurrencyHelpers
import OutputFiles

/// One JSON line for each request, written by a queue of its own: event loops never wait for a disk.
///
/// Lines that find no place, on a full disk or behind a disk that is too slow, are lost and counted.
final class RequestLog: Sendable {
  struct Entry: Encodable, Sendable {
    var id: String
    var source: String
    var region: String
    /// Empty where the request was refused before it was known.
    var api: String
    /// HTTP's.
    var status = 200
    /// Asked for, and written.
    var tokens = 0
    var written = 0
    /// Monotonic, ns: the request's last byte was read; the first text was handed to the kernel; the last byte.
    var received: Int64
    var firstContent: Int64?
    var ended: Int64?
    /// Seconds: until service started, from there to the first token, and for the way there and back.
    var wait = 0.0
    var service = 0.0
    var roundTrip = 0.0
    /// Requests that were in service or waited when it came.
    var ahead = 0
    var fault: String?
  }

  private struct Lines {
    var waiting = 0
    var lost = 0
  }

  /// Lines that wait for the disk, at most: some 30 MB.
  private static let maxWaiting = 100_000

  private let queue = DispatchQueue(label: "wanspec.emulator.log")
  /// Used by `queue` only: event loops never wait for a lock that is held while the disk writes.
  private let file: LineFile?
  private let isOn: Bool
  private let lines = NIOLockedValueBox(Lines())

  /// - Throws: `EmulatorError`
  init(_ path: String?) throws {
    isOn = path != nil
    do { file = try path.map { try LineFile($0, .empty) } } catch { throw EmulatorError("\(error)") }
  }

  /// Lines that were not written.
  var lost: Int { lines.withLockedValue { $0.lost } }

  func write(_ entry: Entry) {
    guard isOn else { return }
    let hasPlace = lines.withLockedValue { lines in
      guard lines.waiting < Self.maxWaiting else {
        lines.lost += 1
        return false
      }
      lines.waiting += 1
      return true
    }
    guard hasPlace else { return }
    queue.async { [self] in
      let isWritten = append(entry)
      lines.withLockedValue {
        $0.waiting -= 1
        if !isWritten { $0.lost += 1 }
      }
    }
  }

  private func append(_ entry: Entry) -> Bool {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    guard let file, let data = try? encoder.encode(entry) else { return false }
    return (try? file.append(data)) != nil
  }

  /// Returns when everything is written.
  func close() async {
    await withCheckedContinuation { continuation in
      queue.async { [file] in
        file?.close()
        continuation.resume()
      }
    }
  }
}

/// Why the emulator cannot start, for people.
public struct EmulatorError: Error, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}
