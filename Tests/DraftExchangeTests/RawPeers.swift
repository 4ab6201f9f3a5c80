import DraftExchange
import GRPCCore
import GRPCNIOTransportHTTP2
import NIOCore
import NIOPosix
import Synchronization

/// Bytes as they are, where a protobuf message would be.
struct RawBytes: MessageSerializer, MessageDeserializer {
  func serialize<Bytes: GRPCContiguousBytes>(_ message: [UInt8]) throws -> Bytes { Bytes(message) }

  func deserialize<Bytes: GRPCContiguousBytes>(_ serializedMessageBytes: Bytes) throws -> [UInt8] {
    serializedMessageBytes.withUnsafeBytes { Array($0) }
  }
}

/// A worker without any of the checks: sends these gRPC messages and waits until the controller ends the call.
///
/// - Parameter pause: between messages
/// - Returns: the status, nil when it is "ok"
func attachRaw(
  port: Int, _ messages: [[UInt8]], pause: Duration = .zero, metadata: Metadata = [:]
) async throws -> RPCError? {
  let transport = try HTTP2ClientTransport.Posix(
    target: .ipv4(address: "127.0.0.1", port: port), transportSecurity: .plaintext)
  return try await withGRPCClient(transport: transport) { client in
    let (finished, finish) = AsyncStream.makeStream(of: Void.self)
    let request = StreamingClientRequest<[UInt8]>(metadata: metadata) { writer in
      for message in messages {
        try await writer.write(message)
        if pause > .zero { try await Task.sleep(for: pause) }
      }
      for await _ in finished {}
    }
    defer { finish.finish() }
    do {
      try await client.bidirectionalStreaming(
        request: request, descriptor: Wanspec_V1_DraftExchange.Method.Attach.descriptor,
        serializer: RawBytes(), deserializer: RawBytes(), options: .defaults
      ) { response in
        defer { finish.finish() }
        for try await _ in response.messages {}
      }
      return nil
    } catch let error as RPCError {
      return error
    }
  }
}

func attachRaw(port: Int, _ frames: [Wanspec_V1_WorkerFrame]) async throws -> RPCError? {
  try await attachRaw(port: port, frames.map { try $0.serializedBytes() })
}

/// A controller without any of the checks: answers every attachment with these frames and waits for the
/// worker's end.
struct RawController: Wanspec_V1_DraftExchange.SimpleServiceProtocol {
  var frames: [Wanspec_V1_ControllerFrame]
  let received = FrameLog()

  final class FrameLog: Sendable {
    private let state = Mutex<(frames: [Wanspec_V1_WorkerFrame], endings: Int)>(([], 0))
    var all: [Wanspec_V1_WorkerFrame] { state.withLock { $0.frames } }
    /// Attachments that are over: nothing more of theirs follows.
    var endings: Int { state.withLock { $0.endings } }
    func append(_ frame: Wanspec_V1_WorkerFrame) { state.withLock { $0.frames.append(frame) } }
    func end() { state.withLock { $0.endings += 1 } }
  }

  func attach(
    request: RPCAsyncSequence<Wanspec_V1_WorkerFrame, any Error>,
    response: RPCWriter<Wanspec_V1_ControllerFrame>, context: ServerContext
  ) async throws {
    defer { received.end() }
    for frame in frames { try await response.write(frame) }
    for try await frame in request { received.append(frame) }
  }

  func serving<Result: Sendable>(_ body: @Sendable (_ port: Int) async throws -> Result) async throws
    -> Result
  {
    let transport = HTTP2ServerTransport.Posix(
      address: .ipv4(host: "127.0.0.1", port: 0), transportSecurity: .plaintext)
    let server = GRPCServer(transport: transport, services: [self])
    return try await running({ try? await server.serve() }) {
      try await body(try await transport.listeningAddress.ipv4?.port ?? 0)
    }
  }
}

/// Sends bytes over TCP and returns what the other side answered until it closed the connection.
func sendRaw(_ bytes: [UInt8], toPort port: Int) async throws -> [UInt8] {
  let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
    .connect(host: "127.0.0.1", port: port) { channel in
      channel.eventLoop.makeCompletedFuture {
        try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
      }
    }
  return try await channel.executeThenClose { inbound, outbound in
    var received: [UInt8] = []
    do {
      try await outbound.write(ByteBuffer(bytes: bytes))
      for try await buffer in inbound { received += Array(buffer.readableBytesView) }
    } catch {}  // A reset is an end, too, and so is a close before anything could be written.
    return received
  }
}

extension Wanspec_V1_WorkerFrame {
  static func hello(_ change: (inout Wanspec_V1_Hello) -> Void = { _ in }) -> Self {
    .with { frame in
      frame.hello = .with {
        $0.protocolMajor = 1
        $0.workerName = "raw"
        $0.modelName = "draft-model"
        $0.vocabulary = .with {
          $0.size = 1000
          $0.tokens = "aa"
          $0.specialTokens = "bb"
        }
        $0.capacity = 1
        $0.passWidth = 1
        change(&$0)
      }
    }
  }

  /// One expansion of session 1.
  static func expansion(_ change: (inout Wanspec_V1_ExpansionGroup) -> Void) -> Self {
    .with { frame in
      var group = Wanspec_V1_ExpansionGroup.with {
        $0.session = 1
        $0.knownPosition = 3
        $0.expansions = [
          .with {
            $0.node = 1
            $0.firstChild = 2
            $0.entropy = 100
            $0.tokens = [1, 2]
            $0.surprisals = [1000, 2000]
          }
        ]
      }
      change(&group)
      frame.expansions = [group]
    }
  }
}

extension Wanspec_V1_ControllerFrame {
  static func welcome(_ change: (inout Wanspec_V1_Welcome) -> Void = { _ in }) -> Self {
    .with { frame in
      frame.welcome = .with {
        $0.protocolMajor = 1
        $0.controllerName = "raw"
        $0.modelName = "target-model"
        $0.vocabulary = .with {
          $0.size = 1000
          $0.tokens = "aa"
          $0.specialTokens = "bb"
        }
        $0.workerID = 1
        $0.pingIntervalMs = 500
        $0.livenessTimeoutMs = 3000
        $0.maximumCandidates = 64
        $0.maximumContext = 1000
        change(&$0)
      }
    }
  }
}
