/// Follows a text whose grammar does not hold yet, and finds where it begins (`GrammarTrigger`).
struct FreeText {
  /// Where a text is.
  struct State {
    /// What may still be the beginning of something: the end of the text, or all of it where there are patterns.
    var text: [UInt8] = []
    /// What of it was looked at and is done with.
    var done = 0
    var isThinking: Bool
  }

  enum Step {
    case free(State)
    /// The grammar holds for these bytes and all that follow.
    case bound([UInt8])
  }

  private let words: [[UInt8]]
  private let patterns: [Regex<AnyRegexOutput>]
  private let thinkingStart: [UInt8]
  private let thinkingEnds: [[UInt8]]
  /// Bytes of the longest text that is looked for.
  private let longest: Int
  let start: State

  /// - Throws: `ConstraintError` for a pattern that is no regular expression
  init(_ trigger: GrammarTrigger) throws {
    words = trigger.words.map { Array($0.utf8) }.filter { !$0.isEmpty }
    patterns = try trigger.patterns.map { pattern in
      do {
        return try Regex(pattern)
      } catch {
        throw ConstraintError("the pattern \(pattern.debugDescription) cannot be used: \(error)")
      }
    }
    thinkingEnds = trigger.thinkingEnds.map { Array($0.utf8) }.filter { !$0.isEmpty }
    // What has no end is not looked for.
    thinkingStart = thinkingEnds.isEmpty ? [] : Array(trigger.thinkingStart.utf8)
    longest = (words + thinkingEnds + [thinkingStart]).map(\.count).max() ?? 0
    start = State(isThinking: trigger.beginsThinking && !thinkingEnds.isEmpty)
  }

  /// O(piece), and O(text) where there are patterns.
  func step(_ state: State, _ piece: ArraySlice<UInt8>) -> Step {
    var state = state
    state.text += piece
    while true {
      if state.isThinking {
        guard let end = Self.first(of: thinkingEnds, in: state.text, from: state.done) else { break }
        state.done = end.upperBound
        state.isThinking = false
        continue
      }
      let thought =
        thinkingStart.isEmpty ? nil : Self.first(of: [thinkingStart], in: state.text, from: state.done)
      let begin = trigger(in: state)
      if let thought, thought.lowerBound < begin ?? .max {
        state.done = thought.upperBound
        state.isThinking = true
        continue
      }
      if let begin { return .bound(Array(state.text[begin...])) }
      break
    }
    if patterns.isEmpty {
      // What is not the beginning of anything is not kept.
      let kept = max(state.done, state.text.count - max(0, longest - 1))
      state.text.removeSubrange(..<kept)
      state.done = 0
    }
    return .free(state)
  }

  /// Where the grammar begins, in what has not been looked at.
  private func trigger(in state: State) -> Int? {
    var first = Self.first(of: words, in: state.text, from: state.done)?.lowerBound
    guard !patterns.isEmpty else { return first }
    let text = String(decoding: state.text, as: UTF8.self)
    for pattern in patterns {
      for match in text.matches(of: pattern) {
        let group = match.output.dropFirst().compactMap(\.range).first { !$0.isEmpty }
        let at = text.utf8.distance(from: text.startIndex, to: (group ?? match.range).lowerBound)
        guard at >= state.done else { continue }
        first = min(first ?? at, at)
        break
      }
    }
    return first
  }

  /// The first place of any of some texts.
  private static func first(of texts: [[UInt8]], in text: [UInt8], from: Int) -> Range<Int>? {
    texts.compactMap { wanted -> Range<Int>? in
      guard text.count - from >= wanted.count else { return nil }
      for at in from...(text.count - wanted.count) where text[at] == wanted[0] {
        if text[at..<(at + wanted.count)].elementsEqual(wanted) { return at..<(at + wanted.count) }
      }
      return nil
    }.min { $0.lowerBound < $1.lowerBound }
  }
}
