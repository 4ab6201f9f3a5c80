import DraftExchange
import GRPCCore
import GRPCNIOTransportHTTP2
import SpeculationCore
import Testing

extension ExchangeTests {
  @Suite struct HalfCloseTests {
    /// There is room for one worker and few connections: who does not go keeps the last one out.
    @Test func aWorkerThatClosesItsHalfIsGone() async throws {
      let configuration = WorkerListener.Configuration.test {
        $0.limits.maximumWorkers = 1
        $0.limits.maximumConnections = 4
      }
      try await withListener(configuration) { _, log, port in
        var fastest = Duration.seconds(60)
        for round in 1...4 {
          let start = ContinuousClock.now
          let refused = try await closeHalf(port: port, [])
          #expect(refused == nil)
          let left = try await closeHalf(port: port, [.hello()])
          #expect(left == nil)
          fastest = min(fastest, .now - start)
          let worker = try await log.attachedWorker(number: round)
          let reason = try await log.detachReason(of: worker)
          #expect(reason == "the worker closed the stream")
        }
        #expect(fastest < .seconds(2), "well before the liveness timeout")
        let observed = try await log.refusal()
        #expect(observed == "the worker closed the stream")
        try await withWorker(.test(port: port)) { _, workerLog in _ = try await workerLog.welcome() }
      }
    }

    /// A worker that sends these frames, ends its half of the stream, and only reads from then on.
    ///
    /// - Returns: the status, nil when it is "ok"
    private func closeHalf(port: Int, _ frames: [Wanspec_V1_WorkerFrame]) async throws -> RPCError? {
      let messages = try frames.map { try $0.serializedBytes() as [UInt8] }
      let transport = try HTTP2ClientTransport.Posix(
        target: .ipv4(address: "127.0.0.1", port: port), transportSecurity: .plaintext)
      return try await withGRPCClient(transport: transport) { client in
        let request = StreamingClientRequest<[UInt8]> { writer in
          for message in messages { try await writer.write(message) }
        }
        do {
          try await client.bidirectionalStreaming(
            request: request, descriptor: Wanspec_V1_DraftExchange.Method.Attach.descriptor,
            serializer: RawBytes(), deserializer: RawBytes(), options: .defaults
          ) { response in
            for try await _ in response.messages {}
          }
          return nil
        } catch let error as RPCError {
          return error
        }
      }
    }
  }
}
