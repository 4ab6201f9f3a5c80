/// One of the controllers that a worker serves, counted from 0.
public typealias ControllerIndex = Int

// One machine drafts for the sessions of several controllers. Each counts its sessions from 1; the machine needs one
// name for each, so an upper byte tells them apart.

extension WorkerMachine {
  /// Controllers that one worker can serve.
  public static let maxControllers = 64

  /// Takes in a message from a controller.
  ///
  /// - Throws: `ProtocolViolation` when the controller broke the protocol; drop the connection then.
  public mutating func receive(
    _ message: ControllerMessage, from controller: ControllerIndex
  ) throws(ProtocolViolation) -> [Action] {
    switch message {
    case .open(let session, let opening):
      let id = try Self.local(session, of: controller)
      if isDraining { return [.send(.declined(id, reason: "the worker is about to leave"))] }
      return try open(id, opening)
    case .commit(let session, let commit):
      return try self.commit(try Self.local(session, of: controller), commit)
    case .close(let session): return close(try Self.local(session, of: controller))
    }
  }

  /// The connection to a controller is gone, and every session of it.
  public mutating func disconnected(from controller: ControllerIndex) -> [Action] {
    closeAll { Self.remote($0).controller == controller }
  }

  /// What is to be sent, by controller; messages to one of them stay together, in order.
  public static func outgoing(
    _ actions: [Action]
  ) -> [(controller: ControllerIndex, messages: [WorkerMessage])] {
    // Mostly there is one controller.
    var outgoing: [(controller: ControllerIndex, messages: [WorkerMessage])] = []
    for case .send(let message) in actions {
      let (controller, message) = forRemote(message)
      if let index = outgoing.firstIndex(where: { $0.controller == controller }) {
        outgoing[index].messages.append(message)
      } else {
        outgoing.append((controller, [message]))
      }
    }
    return outgoing
  }

  private static func local(
    _ session: SessionID, of controller: ControllerIndex
  ) throws(ProtocolViolation) -> SessionID {
    guard session.rawValue >> 56 == 0 else {
      throw ProtocolViolation("\(session) has an id of 2^56 or more")
    }
    return SessionID(session.rawValue | UInt64(controller) << 56)
  }

  private static func remote(_ session: SessionID) -> (controller: ControllerIndex, session: SessionID) {
    (Int(session.rawValue >> 56), SessionID(session.rawValue & (1 << 56 - 1)))
  }

  private static func forRemote(
    _ message: WorkerMessage
  ) -> (controller: ControllerIndex, message: WorkerMessage) {
    switch message {
    case .expansion(let id, let expansion):
      let (controller, session) = remote(id)
      return (controller, .expansion(session, expansion))
    case .declined(let id, let reason):
      let (controller, session) = remote(id)
      return (controller, .declined(session, reason: reason))
    }
  }
}
