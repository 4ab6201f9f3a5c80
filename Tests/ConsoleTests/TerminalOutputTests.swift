import Console
import Foundation
import Logging
import OutputFiles
import Synchronization
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The end of a terminal at which a person sits.
final class PseudoTerminal {
  private let descriptor: Int32
  let path: String

  /// Linux only, where the C library's functions are not in Swift's module: TIOCSPTLCK, TIOCGPTN.
  init?() {
    descriptor = open("/dev/ptmx", O_RDWR | O_NOCTTY)
    var (lock, number): (Int32, UInt32) = (0, 0)
    guard descriptor >= 0, ioctl(descriptor, 0x4004_5431, &lock) == 0,
      ioctl(descriptor, 0x8004_5430, &number) == 0
    else { return nil }
    path = "/dev/pts/\(number)"
  }

  deinit { close(descriptor) }

  /// What is on the screen, until `end` was written.
  func text(until end: String) -> String {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while !String(decoding: bytes, as: UTF8.self).contains(end) {
      let count = read(descriptor, &buffer, buffer.count)
      if count <= 0 { break }
      bytes += buffer[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

struct TerminalOutputTests {
  /// A file that is a terminal is one: what is written to it is for people.
  @Test func filesThatAreTerminalsAreNotDriven() throws {
    guard let terminal = PseudoTerminal() else { return }
    // Held open, so that nothing is lost between the two.
    let held = open(terminal.path, O_RDWR | O_NOCTTY)
    defer { close(held) }
    try OutputFile.write("a\u{1B}[2Jb\n", to: terminal.path)
    try LineFile(terminal.path, .atEnd).append(Data("c\u{9B}2Jend".utf8))
    let shown = terminal.text(until: "end")
    #expect(shown.contains("a\\u{1B}[2Jb") && shown.contains("c\\u{9B}2Jend"), "\(shown.debugDescription)")
    #expect(!shown.contains("\u{1B}") && !shown.contains("\u{9B}"))
  }

  private struct Collector: LogHandler {
    final class Lines: Sendable {
      let all = Mutex<[String]>([])
    }
    let lines: Lines
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }
    func log(event: LogEvent) {
      lines.all.withLock { $0.append("\(event.message) \(event.metadata ?? [:]) \(metadata)") }
    }
  }

  /// A worker's name cannot clear the operator's screen, nor write log lines of its own.
  @Test func logLinesAreOneLineEach() {
    let lines = Collector.Lines()
    var log = Logger(label: "test") { _ in VisibleLogHandler(Collector(lines: lines)) }
    log[metadataKey: "peer"] = "\u{1B}]0;x\u{07}"
    log.info("attached\n\u{1B}[2J", metadata: ["worker": "a\nerror: forged", "all": ["\u{202E}"]])
    let line = lines.all.withLock { $0.joined() }
    #expect(line.contains("attached\\n\\u{1B}[2J") || line.contains("attached\\\\n"), "\(line)")
    #expect(!line.contains("\n") && !line.contains("\u{1B}") && !line.contains("\u{202E}"), "\(line)")
    #expect(!line.contains("\u{07}"))
  }
}
