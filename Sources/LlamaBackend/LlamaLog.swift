import CLlama
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// llama.cpp's log: kept off the terminal, its last complaints kept for error messages.
///
/// The library has one log for the whole process, so lines are kept with the thread that wrote them: a load
/// that fails reports its own lines although another engine works at the same time.
enum LlamaLog {
  private struct Line {
    var thread: UInt
    var text: String
  }

  private static let capacity = 64
  private static let lines = Mutex<[Line]>([])

  /// Takes over the library's log. Called once, by `LlamaLibrary`.
  static func install() {
    llama_log_set(
      { level, text, _ in
        guard level == GGML_LOG_LEVEL_ERROR || level == GGML_LOG_LEVEL_WARN, let text else { return }
        LlamaLog.keep(String(cString: text))
      }, nil)
  }

  static func keep(_ text: String) {
    let line = Line(thread: currentThread, text: presentable(text.trimmingSuffix(while: \.isNewline)))
    lines.withLock { lines in
      if lines.count >= capacity { lines.removeFirst() }
      lines.append(line)
    }
  }

  /// What comes from a file is in it: one line of text that is not endless, whatever that is.
  static func presentable(_ text: some StringProtocol) -> String {
    let longest = 400
    let line = String(
      String.UnicodeScalarView(
        text.unicodeScalars.prefix(longest).map { $0.properties.generalCategory.isText ? $0 : "\u{FFFD}" }))
    return text.unicodeScalars.count > longest ? line + "..." : line
  }

  /// Forgets this thread's lines, before a call whose complaints matter.
  static func clear() {
    let thread = currentThread
    lines.withLock { $0.removeAll { $0.thread == thread } }
  }

  /// This thread's lines since `clear()`, oldest first.
  static func recent() -> [String] {
    let thread = currentThread
    return lines.withLock { $0.filter { $0.thread == thread }.map(\.text) }
  }

  /// The cause of a failed call, in the library's words: the first error since `clear()`, without the function
  /// name it begins with. nil when there is none.
  static func cause() -> String? {
    guard let line = recent().first(where: { !$0.isEmpty }) else { return nil }
    guard let colon = line.firstRange(of: ": ") else { return line }
    let before = line[..<colon.lowerBound]
    return before.contains(" ") ? line : String(line[colon.upperBound...])
  }

  private static var currentThread: UInt {
    #if canImport(Darwin)
      return UInt(bitPattern: pthread_self())
    #else
      return UInt(pthread_self())
    #endif
  }
}

extension Unicode.GeneralCategory {
  fileprivate var isText: Bool {
    switch self {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
    default: true
    }
  }
}

extension StringProtocol {
  fileprivate func trimmingSuffix(while predicate: (Character) -> Bool) -> SubSequence {
    var end = endIndex
    while end > startIndex, predicate(self[index(before: end)]) { end = index(before: end) }
    return self[startIndex..<end]
  }
}
