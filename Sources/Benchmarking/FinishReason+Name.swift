import SpeculationCore

extension SessionMachine.FinishReason {
  /// As OpenAI's `finish_reason` says it, where there is a word for it.
  package var name: String {
    switch self {
    case .endOfText: "stop"
    case .length: "length"
    case .contextFull: "context"
    case .cancelled: "cancelled"
    case .failed: "error"
    }
  }
}
