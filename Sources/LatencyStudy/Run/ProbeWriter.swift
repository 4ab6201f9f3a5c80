/// Stores probes in groups: all that end while one group is being written go into the next, so that a busy moment costs
/// two waits for the disk and not hundreds.
actor ProbeWriter {
  private let store: StudyStore
  private let writer: StudyStore.Writer
  private var pending: [(records: [ProbeRecord], stored: CheckedContinuation<Void, any Error>)] = []
  private var isWriting = false

  init(_ store: StudyStore, _ writer: StudyStore.Writer) {
    self.store = store
    self.writer = writer
  }

  /// Returns when the probes are on the disk.
  func add(_ records: [ProbeRecord]) async throws {
    guard !records.isEmpty else { return }
    try await withCheckedThrowingContinuation { continuation in
      pending.append((records, continuation))
      if !isWriting {
        isWriting = true
        Task { await write() }
      }
    }
  }

  private func write() async {
    while !pending.isEmpty {
      let group = pending
      pending = []
      let result: Result<Void, any Error>
      do {
        try await store.add(group.flatMap(\.records), writer)
        result = .success(())
      } catch {
        result = .failure(error)
      }
      for entry in group { entry.stored.resume(with: result) }
    }
    isWriting = false
  }
}
