import SpeculationCore

/// What carries messages to workers. Neither call blocks; messages to one worker keep their order.
public protocol WorkerTransport: Sendable {
  func send(_ message: ControllerMessage, to worker: WorkerID)
  func disconnect(_ worker: WorkerID, reason: String)
}

/// What a transport reports, in order for each worker.
public enum WorkerEvent: Sendable {
  case attached(WorkerID, name: String)
  case message(WorkerID, WorkerMessage)
  case roundTrip(WorkerID, Duration)
  case detached(WorkerID, reason: String)
}
