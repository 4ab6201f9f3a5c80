import SpeculationCore

/// A small binary format for fault runs: fixed widths, lowest byte first.
///
/// It checks that a frame has the length that it says, and hardly anything else, on purpose: a value that is
/// wrong reaches the machines, whose own checks are what is tested. (The product's codec stops most of them.)
public struct PlainFrameCodec: FrameCodec {
  public init() {}

  public struct Invalid: Error, CustomStringConvertible {
    public var description: String
  }

  // MARK: Writing

  public func encode(_ items: [WorkerFrameItem]) -> [[UInt8]] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(96)
    for item in items {
      switch item {
      case .pong(let sequence):
        bytes.append(1)
        bytes.put(sequence)
      case .message(.expansion(let session, let expansion)):
        bytes.append(2)
        bytes.put(session.rawValue)
        switch expansion.site {
        case .root(let position):
          bytes.append(0)
          bytes.put(Int64(position))
        case .node(let node):
          bytes.append(1)
          bytes.put(node)
        }
        bytes.put(expansion.firstChild)
        bytes.put(Int64(expansion.knownPosition))
        bytes.put(expansion.distribution.entropy.bitPattern)
        bytes.put(UInt16(truncatingIfNeeded: expansion.distribution.candidates.count))
        for candidate in expansion.distribution.candidates {
          bytes.put(candidate.token)
          bytes.put(candidate.probability.bitPattern)
        }
        bytes.put(UInt32(truncatingIfNeeded: expansion.forgotten.count))
        for id in expansion.forgotten { bytes.put(id) }
      case .message(.declined(let session, let reason)):
        bytes.append(3)
        bytes.put(session.rawValue)
        let text = Array(reason.utf8.prefix(1024))
        bytes.put(UInt16(text.count))
        bytes += text
      }
    }
    return [bytes]
  }

  public func encode(_ items: [ControllerFrameItem]) -> [[UInt8]] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(96)
    for item in items {
      switch item {
      case .ping(let sequence):
        bytes.append(1)
        bytes.put(sequence)
      case .message(.open(let session, let opening)):
        let sampling = opening.sampling
        bytes.append(2)
        bytes.put(session.rawValue)
        bytes.put(sampling.temperature.bitPattern)
        bytes.put(sampling.topK)
        bytes.put(sampling.topP.bitPattern)
        bytes.put(sampling.minP.bitPattern)
        bytes.put(sampling.seed)
        bytes.append(sampling.adjustments == nil ? 0 : 1)
        if let adjustments = sampling.adjustments { put(adjustments, in: &bytes) }
        bytes.put(UInt32(opening.context.count))
        for token in opening.context { bytes.put(token) }
        bytes.put(Int64(opening.maxNodes ?? .min))
      case .message(.commit(let session, let commit)):
        bytes.append(3)
        bytes.put(session.rawValue)
        bytes.put(Int64(commit.position))
        bytes.append(commit.pause ? 1 : 0)
        bytes.put(UInt16(commit.tokens.count))
        for token in commit.tokens { bytes.put(token) }
      case .message(.close(let session)):
        bytes.append(4)
        bytes.put(session.rawValue)
      }
    }
    return [bytes]
  }

  // MARK: Reading

  public func decodeWorkerFrame(_ contents: ArraySlice<UInt8>) throws -> [WorkerFrameItem] {
    var reader = Reader(rest: contents)
    var items: [WorkerFrameItem] = []
    while !reader.rest.isEmpty {
      switch try reader.take(UInt8.self) {
      case 1: items.append(.pong(try reader.take()))
      case 2:
        let session = SessionID(try reader.take())
        let site: ExpansionSite
        switch try reader.take(UInt8.self) {
        case 0: site = .root(position: Int(try reader.take(Int64.self)))
        case 1: site = .node(try reader.take())
        case let other: throw Invalid(description: "site \(other)")
        }
        let firstChild: RemoteNodeID = try reader.take()
        let known = Int(try reader.take(Int64.self))
        let entropy = Float(bitPattern: try reader.take())
        let candidates = try reader.list(count: Int(try reader.take(UInt16.self)), width: 8) { reader in
          Candidate(token: try reader.take(), probability: Float(bitPattern: try reader.take()))
        }
        let forgotten = try reader.list(count: Int(try reader.take(UInt32.self)), width: 8) {
          try $0.take(RemoteNodeID.self)
        }
        items.append(
          .message(
            .expansion(
              session,
              Expansion(
                site: site, firstChild: firstChild,
                distribution: Distribution(entropy: entropy, candidates: candidates), knownPosition: known,
                forgotten: forgotten))))
      case 3:
        let session = SessionID(try reader.take())
        let text: [UInt8] = try reader.list(count: Int(try reader.take(UInt16.self)), width: 1) {
          try $0.take()
        }
        items.append(.message(.declined(session, reason: String(decoding: text, as: UTF8.self))))
      case let other: throw Invalid(description: "item \(other)")
      }
    }
    return items
  }

  public func decodeControllerFrame(_ contents: ArraySlice<UInt8>) throws -> [ControllerFrameItem] {
    var reader = Reader(rest: contents)
    var items: [ControllerFrameItem] = []
    while !reader.rest.isEmpty {
      switch try reader.take(UInt8.self) {
      case 1: items.append(.ping(try reader.take()))
      case 2:
        let session = SessionID(try reader.take())
        var sampling = SamplingSettings(
          temperature: Float(bitPattern: try reader.take()), topK: try reader.take(),
          topP: Float(bitPattern: try reader.take()), minP: Float(bitPattern: try reader.take()),
          seed: try reader.take())
        switch try reader.take(UInt8.self) {
        case 0: break
        case 1: sampling.adjustments = try takeAdjustments(&reader)
        case let other: throw Invalid(description: "adjustments \(other)")
        }
        let context = try reader.list(count: Int(try reader.take(UInt32.self)), width: 4) {
          try $0.take(TokenID.self)
        }
        let maxNodes = Int(try reader.take(Int64.self))
        items.append(
          .message(
            .open(
              session,
              .init(context: context, sampling: sampling, maxNodes: maxNodes == .min ? nil : maxNodes))))
      case 3:
        let session = SessionID(try reader.take())
        let position = Int(try reader.take(Int64.self))
        let pause = try reader.take(UInt8.self)
        guard pause <= 1 else { throw Invalid(description: "pause \(pause)") }
        let tokens = try reader.list(count: Int(try reader.take(UInt16.self)), width: 4) {
          try $0.take(TokenID.self)
        }
        items.append(.message(.commit(session, .init(position: position, tokens: tokens, pause: pause == 1))))
      case 4: items.append(.message(.close(SessionID(try reader.take()))))
      case let other: throw Invalid(description: "item \(other)")
      }
    }
    return items
  }

  // MARK: Adjustments

  private func put(_ adjustments: LogitAdjustments, in bytes: inout [UInt8]) {
    bytes.put(adjustments.promptLength)
    bytes.put(adjustments.repetition.bitPattern)
    bytes.put(adjustments.presence.bitPattern)
    bytes.put(adjustments.frequency.bitPattern)
    bytes.put(UInt16(adjustments.biases.count))
    for bias in adjustments.biases {
      bytes.put(bias.token)
      bytes.put(bias.value.bitPattern)
    }
  }

  private func takeAdjustments(_ reader: inout Reader) throws -> LogitAdjustments {
    LogitAdjustments(
      promptLength: try reader.take(), repetition: Float(bitPattern: try reader.take()),
      presence: Float(bitPattern: try reader.take()), frequency: Float(bitPattern: try reader.take()),
      biases: try reader.list(count: Int(try reader.take(UInt16.self)), width: 8) { reader in
        LogitAdjustments.Bias(token: try reader.take(), value: Float(bitPattern: try reader.take()))
      })
  }

  private struct Reader {
    var rest: ArraySlice<UInt8>

    mutating func take<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) throws -> Value {
      let width = MemoryLayout<Value>.size
      guard rest.count >= width else { throw Invalid(description: "the frame is too short") }
      let value = rest.withUnsafeBytes { $0.loadUnaligned(as: Value.self) }
      rest = rest.dropFirst(width)
      return Value(littleEndian: value)
    }

    mutating func list<Element>(
      count: Int, width: Int, _ element: (inout Reader) throws -> Element
    ) throws -> [Element] {
      guard count * width <= rest.count else { throw Invalid(description: "\(count) elements do not fit") }
      var result: [Element] = []
      result.reserveCapacity(count)
      for _ in 0..<count { result.append(try element(&self)) }
      return result
    }
  }
}

extension [UInt8] {
  fileprivate mutating func put<Value: FixedWidthInteger>(_ value: Value) {
    Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
  }
}
