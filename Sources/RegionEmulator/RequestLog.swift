import Foundation
import NIOConcurrencyHelpers

/// One JSON line for each request, written by a thread of its own: event loops never wait for a disk.
final class RequestLog: Sendable {
  struct Entry: Encodable, Sendable {
    var id: String
    var source: String
    var region: String
    var api: String
    var tokens: Int
    /// Monotonic, ns: the request's last byte was read; the first text was handed to the kernel; the last byte.
    var received: Int64
    var firstContent: Int64?
    var ended: Int64?
    /// Seconds.
    var wait: Double
    var service: Double
    var roundTrip: Double
    var ahead: Int
    var fault: String?
  }

  private let queue = DispatchQueue(label: "wanspec.emulator.log")
  private let file: NIOLockedValueBox<FileHandle?>

  init(_ path: String?) throws {
    guard let path else {
      file = NIOLockedValueBox(nil)
      return
    }
    guard FileManager.default.createFile(atPath: path, contents: nil),
      let handle = FileHandle(forWritingAtPath: path)
    else { throw EmulatorError("the log \(path) cannot be written: \(String(cString: strerror(errno)))") }
    file = NIOLockedValueBox(handle)
  }

  func write(_ entry: Entry) {
    guard file.withLockedValue({ $0 }) != nil else { return }
    queue.async { [file] in
      let encoder = JSONEncoder()
      encoder.outputFormatting = .sortedKeys
      guard let data = try? encoder.encode(entry) else { return }
      file.withLockedValue { try? $0?.write(contentsOf: data + Data("\n".utf8)) }
    }
  }

  /// Returns when everything is written.
  func close() async {
    await withCheckedContinuation { continuation in
      queue.async { [file] in
        file.withLockedValue {
          try? $0?.close()
          $0 = nil
        }
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
