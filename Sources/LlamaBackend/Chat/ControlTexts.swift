import CLlama
import SpeculationCore

/// The names of a vocabulary's control tokens, as they could stand in somebody's text: `<|im_end|>`.
struct ControlTexts: Sendable {
  /// By their first two bytes; the longest first.
  private let texts: [UInt16: [[UInt8]]]
  private let tokens: [[UInt8]: TokenID]

  init(model: LlamaModel) {
    var texts: [UInt16: [[UInt8]]] = [:]
    var tokens: [[UInt8]: TokenID] = [:]
    for token in 0..<TokenID(clamping: model.vocabularySize)
    where llama_vocab_is_control(model.vocabulary, token) {
      let text = model.piece(of: token, special: true)
      guard text.count >= 2 else { continue }
      texts[Self.key(text, at: 0), default: []].append(text)
      tokens[text] = token
    }
    self.texts = texts.mapValues { $0.sorted { $0.count > $1.count } }
    self.tokens = tokens
  }

  private static func key(_ text: [UInt8], at index: Int) -> UInt16 {
    UInt16(text[index]) << 8 | UInt16(text[index + 1])
  }

  func token(_ text: String) -> TokenID? { tokens[Array(text.utf8)] }

  /// Where control tokens stand in a text, in order. O(text).
  func ranges(in text: [UInt8]) -> [Range<Int>] {
    var found: [Range<Int>] = []
    var at = 0
    while at + 1 < text.count {
      if let candidates = texts[Self.key(text, at: at)],
        let match = candidates.first(where: { text[at...].starts(with: $0) })
      {
        found.append(at..<(at + match.count))
        at += match.count
      } else {
        at += 1
      }
    }
    return found
  }
}

/// Marks what users wrote where it looks like a control token, so that it stays what it is, their text, in whatever way a
/// template puts it into a prompt.
///
/// The marks are two characters that Unicode never gives a meaning to (U+FDD0 to U+FDEF), and that the conversation does
/// not have.
struct ControlMarks {
  private let texts: ControlTexts
  private let opening: Unicode.Scalar
  private let closing: Unicode.Scalar

  /// nil where a conversation has all of those characters.
  init?(_ texts: ControlTexts, notIn conversation: some Sequence<String>) {
    var free = Set((0xFDD0...0xFDEF).compactMap(Unicode.Scalar.init))
    for text in conversation where text.utf8.contains(0xEF) {
      for scalar in text.unicodeScalars { free.remove(scalar) }
    }
    guard free.count >= 2 else { return nil }
    let two = free.sorted().prefix(2)
    self.texts = texts
    opening = two[0]
    closing = two[1]
  }

  func marked(_ text: String) -> String {
    let bytes = Array(text.utf8)
    let ranges = texts.ranges(in: bytes)
    guard !ranges.isEmpty else { return text }
    var result: [UInt8] = []
    var done = 0
    for range in ranges {
      result += bytes[done..<range.lowerBound]
      result += String(opening).utf8
      result += bytes[range]
      result += String(closing).utf8
      done = range.upperBound
    }
    result += bytes[done...]
    return String(decoding: result, as: UTF8.self)
  }

  /// A rendered prompt in parts, without marks.
  func parts(of text: String) -> [(text: String, isMarked: Bool)] {
    var parts: [(text: String, isMarked: Bool)] = []
    var current = String.UnicodeScalarView()
    var isMarked = false
    func end(_ next: Bool) {
      if !current.isEmpty { parts.append((String(current), isMarked)) }
      current = String.UnicodeScalarView()
      isMarked = next
    }
    for scalar in text.unicodeScalars {
      switch scalar {
      case opening: end(true)
      case closing: end(false)
      default: current.append(scalar)
      }
    }
    end(false)
    return parts
  }

  func removed(from text: String) -> String {
    guard text.unicodeScalars.contains(where: { $0 == opening || $0 == closing }) else { return text }
    return parts(of: text).map(\.text).joined()
  }
}
