import DraftExchange
import ModelBackend
import NodeRuntime
import SpeculationCore

extension WorkerListener: WorkerTransport {}

extension WorkerListener.Event {
  /// What the controller's runtime needs to hear; nil for the rest.
  var forRuntime: WorkerEvent? {
    switch self {
    case .attached(let worker, let introduction):
      .attached(
        worker,
        WorkerPool.Profile(
          name: introduction.name, site: introduction.site, model: introduction.modelName,
          capacity: introduction.capacity, draftCost: introduction.draftCost))
    case .message(let worker, let message): .message(worker, message)
    case .roundTrip(let worker, let sample): .roundTrip(worker, sample)
    case .draining(let worker): .draining(worker)
    case .detached(let worker, let reason): .detached(worker, reason: reason)
    default: nil
    }
  }
}

extension PeerVocabulary {
  init(_ fingerprint: VocabularyFingerprint) {
    self.init(
      size: fingerprint.size, tokensHash: fingerprint.tokens,
      specialTokensHash: fingerprint.specialTokens)
  }
}
