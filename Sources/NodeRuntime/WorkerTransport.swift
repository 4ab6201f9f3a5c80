import SpeculationCore

/// What carries messages to workers. Neither call blocks; messages to one worker keep their order.
public protocol WorkerTransport: Sendable {
  func send(_ message: ControllerMessage, to worker: WorkerID)
  func disconnect(_ worker: WorkerID, reason: String)
  /// Bytes of TCP payload exchanged with a worker.
  func traffic(of worker: WorkerID) -> (received: Int, sent: Int)
}

/// What a transport reports, in order for each worker.
public enum WorkerEvent: Sendable {
  case attached(WorkerID, WorkerPool.Profile)
  case message(WorkerID, WorkerMessage)
  case roundTrip(WorkerID, Duration)
  /// It is about to leave and wants no more sessions.
  case draining(WorkerID)
  case detached(WorkerID, reason: String)
}
