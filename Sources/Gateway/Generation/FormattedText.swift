import ModelBackend

/// One choice's answer in the format of its model's template, taken apart while it is written: thoughts, content, calls.
struct FormattedText {
  private let reader: any AnswerReader
  private var whole = ""
  /// By the calls' places.
  private var ids: [Int: String] = [:]
  /// Whether anything has been told.
  private var hasParts = false
  /// The text so far is none of the format.
  private var isForeign = false
  private let callsOnce: Bool
  /// A call more than there may be has begun: the answer ends before it.
  private(set) var isOver = false

  /// - Parameter callsOnce: the answer ends with its first call
  init(_ format: any AnswerFormat, callsOnce: Bool) throws {
    reader = try format.reader()
    self.callsOnce = callsOnce
  }

  var hasCalls: Bool { !ids.isEmpty }

  mutating func append(_ text: String) throws -> [AnswerPart] {
    if text.isEmpty || isOver { return [] }
    whole += text
    do {
      let parts = try reader.read(whole, isComplete: false)
      isForeign = false
      return named(parts)
    } catch is ModelError {
      // It may become something of the format yet.
      isForeign = true
      return []
    }
  }

  /// - Parameter isComplete: the model ended it, not a limit
  mutating func finish(isComplete: Bool) throws -> [AnswerPart] {
    if isOver { return [] }
    if isComplete {
      do {
        return named(try reader.read(whole, isComplete: true))
      } catch is ModelError { isForeign = true }
    }
    // Half a call is none; what the model wrote in another way than its template says is shown as it is.
    return isForeign && !hasParts && !whole.isEmpty ? [.content(whole)] : []
  }

  /// Calls have an identifier from their first part on.
  private mutating func named(_ parts: [AnswerPart]) -> [AnswerPart] {
    var parts = parts
    if callsOnce,
      let second = parts.firstIndex(where: { if case .call(1..., _, _, _) = $0 { true } else { false } })
    {
      parts = Array(parts[..<second])
      isOver = true
    }
    hasParts = hasParts || !parts.isEmpty
    return parts.map { part in
      guard case .call(let index, let given, let name, let arguments) = part, ids[index] == nil else {
        return part
      }
      let id = given.isEmpty ? "call_" + RandomName.make() : given
      ids[index] = id
      return .call(index: index, id: id, name: name, arguments: arguments)
    }
  }
}
