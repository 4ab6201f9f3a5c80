import SpeculationCore

extension TokenSource {
  /// The texts of a recording.
  ///
  /// - Parameters:
  ///   - tasks: only texts of these; empty takes all
  ///   - joined: run them one after the other as one long text, so that no session's beginning counts
  public init(_ recording: Recording, tasks: [String] = [], joined: Bool = false, seed: UInt64 = 0) {
    let chosen = recording.texts.filter { tasks.isEmpty || tasks.contains($0.task) }
    var texts = chosen.map { text in
      Text(
        task: text.task, prompt: text.prompt, answer: text.positions.map(\.target),
        drafts: text.positions.map(\.draft))
    }
    if joined, var all = texts.first {
      for text in texts.dropFirst() {
        all.answer += text.answer
        all.drafts += text.drafts
      }
      all.task = "all"
      texts = [all]
    }
    self.init(
      texts: texts, vocabularySize: recording.vocabularySize,
      elsewhere: chosen.flatMap { $0.positions.map(\.draft) }, seed: seed)
  }
}
