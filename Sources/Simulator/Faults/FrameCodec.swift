import SpeculationCore

/// What a worker says once it is attached.
public enum WorkerFrameItem: Hashable, Sendable {
  case pong(UInt64)
  case message(WorkerMessage)
}

/// What a controller says to an attached worker.
public enum ControllerFrameItem: Hashable, Sendable {
  case ping(UInt64)
  case message(ControllerMessage)
}

/// Turns messages into the contents of frames and back. Items come out in the order in which they went in.
///
/// Connections put the framing of gRPC around the contents: a byte that is 0 (not compressed), then four bytes
/// of length, the highest first.
public protocol FrameCodec: Sendable {
  /// The contents of as many frames as it takes; empty for what the sender itself refuses to send.
  func encode(_ items: [WorkerFrameItem]) throws -> [[UInt8]]
  func encode(_ items: [ControllerFrameItem]) throws -> [[UInt8]]
  /// - Throws: whatever is wrong with the contents; nothing of a frame may be used then
  func decodeWorkerFrame(_ contents: ArraySlice<UInt8>) throws -> [WorkerFrameItem]
  func decodeControllerFrame(_ contents: ArraySlice<UInt8>) throws -> [ControllerFrameItem]
}

/// Bytes that are no frame.
struct FramingError: Error, CustomStringConvertible {
  var description: String
}

/// Frames in a stream of bytes.
enum Framing {
  static let prefix = 5
  /// More than any honest frame of a run has: a longer one is a length that was not meant as one.
  static let maximumContents = 1 << 16

  static func append(_ contents: [UInt8], to bytes: inout [UInt8]) {
    let count = UInt32(contents.count)
    bytes.reserveCapacity(bytes.count + prefix + contents.count)
    bytes.append(0)
    for shift: UInt32 in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: count >> shift)) }
    bytes += contents
  }

  /// The contents of the frame that starts at `start`; nil until all of it is there.
  static func contents(of bytes: [UInt8], at start: Int) throws(FramingError) -> ArraySlice<UInt8>? {
    guard bytes.count - start >= prefix else { return nil }
    guard bytes[start] == 0 else { throw FramingError(description: "compression flag \(bytes[start])") }
    var count = 0
    for offset in 1..<prefix { count = count << 8 | Int(bytes[start + offset]) }
    guard count <= maximumContents else { throw FramingError(description: "a frame of \(count) bytes") }
    let first = start + prefix
    return bytes.count - first >= count ? bytes[first..<(first + count)] : nil
  }
}
