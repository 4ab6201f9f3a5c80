import DraftExchange
import Simulator
import SpeculationCore
import SwiftProtobuf

/// Puts the product's own frames under fault runs: protobuf, with every check that a peer's frames undergo.
///
/// What a machine gets then is what it gets in the product, rounding included; nonsense that a hostile worker
/// says mostly ends here. `PlainFrameCodec` lets more of it through, and is faster.
package struct ExchangeFrameCodec: FrameCodec {
  private let workers: WorkerCodec
  private let controllers: ControllerCodec

  /// - Parameter vocabularySize: at least that of every plan that is run
  package init(
    limits: ExchangeLimits = ExchangeLimits(), vocabularySize: Int = FaultPlan.largestVocabulary
  ) {
    workers = WorkerCodec(limits: limits, vocabularySize: vocabularySize)
    controllers = ControllerCodec(limits: limits, vocabularySize: vocabularySize)
  }

  package func encode(_ items: [WorkerFrameItem]) throws -> [[UInt8]] {
    let outgoing = items.map { item in
      switch item {
      case .pong(let sequence): OutgoingWorkerItem.pong(sequence)
      case .message(let message): OutgoingWorkerItem.message(message)
      }
    }
    return try workers.frames(outgoing).map { try $0.serializedBytes() }
  }

  package func encode(_ items: [ControllerFrameItem]) throws -> [[UInt8]] {
    let outgoing = items.map { item in
      switch item {
      case .ping(let sequence): ControllerItem.ping(sequence)
      case .message(let message): ControllerItem.message(message)
      }
    }
    return try controllers.frames(outgoing).map { try $0.serializedBytes() }
  }

  package func decodeWorkerFrame(_ contents: ArraySlice<UInt8>) throws -> [WorkerFrameItem] {
    try workers.read(try Wanspec_V1_WorkerFrame(serializedBytes: Array(contents))).map { item in
      switch item {
      case .pong(let sequence): return .pong(sequence)
      case .message(let message): return .message(message)
      // No worker of a fault run says it: bytes were changed on their way.
      case .goodbye, .draining: throw ProtocolViolation("a goodbye")
      }
    }
  }

  package func decodeControllerFrame(_ contents: ArraySlice<UInt8>) throws -> [ControllerFrameItem] {
    try controllers.read(try Wanspec_V1_ControllerFrame(serializedBytes: Array(contents))).map { item in
      switch item {
      case .ping(let sequence): .ping(sequence)
      case .message(let message): .message(message)
      }
    }
  }
}
