import Synchronization

/// Fields of one request that nobody knows: passed over, and named to the client in a header of the answer.
///
/// Readers of a request find it by their task, so that a field is noted wherever in the body it stands. Where nothing
/// collects, an unknown field is an error.
package final class UnknownFields: Sendable {
  @TaskLocal package static var current: UnknownFields?

  /// Names that are told, and bytes of each.
  package static let maxNames = 16
  static let maxNameBytes = 96

  private struct State {
    var names: [String] = []
    var count = 0
  }

  private let state = Mutex(State())

  package init() {}

  /// Fields that were passed over; those of equal messages count each.
  package var count: Int { state.withLock { $0.count } }

  /// For a header: `messages[].weight, temprature (did you mean temperature?)`; nil where all fields are known.
  package var header: String? {
    state.withLock { state in
      guard !state.names.isEmpty else { return nil }
      let isComplete = state.names.count <= Self.maxNames
      return state.names.prefix(Self.maxNames).joined(separator: ", ") + (isComplete ? "" : ", ...")
    }
  }

  /// - Parameter nearest: the field that was probably meant; asked for only where it is told
  func note(_ path: String, nearest: () -> String?) {
    let name = Self.shown(path)
    let isNew = state.withLock { state in
      state.count += 1
      return state.names.count <= Self.maxNames && !state.names.contains { Self.name(of: $0) == name }
    }
    guard isNew else { return }
    let hint = nearest().map { " (did you mean \(Self.shown($0))?)" } ?? ""
    state.withLock { $0.names.append(name + hint) }
  }

  private static func name(of entry: String) -> Substring { entry.prefix { $0 != " " } }

  /// A path without what a header cannot carry, or what would end or begin an entry of the list; elements of an array are one.
  private static func shown(_ path: String) -> String {
    var result = ""
    var isIndex = false
    for scalar in path.unicodeScalars {
      if result.utf8.count >= maxNameBytes { return result + "..." }
      if scalar == "]" { isIndex = false }
      if isIndex, ("0"..."9").contains(scalar) { continue }
      isIndex = scalar == "["
      let isPlain = (0x21...0x7E).contains(scalar.value) && !#",()"\"#.unicodeScalars.contains(scalar)
      result.unicodeScalars.append(isPlain ? scalar : "?")
    }
    return result
  }
}
