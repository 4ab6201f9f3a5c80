import Foundation
import Synchronization
import VisibleText

/// Progress on standard error: one line that is rewritten on a terminal; elsewhere a plain line now and then.
///
/// May be called from any thread.
package final class ProgressBar: Sendable {
  package enum Unit: Sendable {
    case count, bytes
  }

  private struct State {
    package var lastDrawn: ContinuousClock.Instant?
    package var lastPlain: ContinuousClock.Instant?
    package var isDrawn = false
    package var started: ContinuousClock.Instant?
    /// `done` at the first update, which may be far above 0 when a download continues.
    package var startedAt: Int64 = 0
  }

  private let title: String
  private let unit: Unit
  private let isInteractive: Bool
  private let state = Mutex(State())

  /// At most this often on a terminal, and this often elsewhere.
  private static let redraw = Duration.milliseconds(100)
  private static let plainInterval = Duration.seconds(15)
  /// To the first column; what is there goes.
  private static let lineStart = "\r\u{1B}[K"

  package init(title: String, unit: Unit = .count) {
    self.title = title
    self.unit = unit
    isInteractive = Terminal.isInteractive(.standardError)
  }

  /// - Parameter note: what is being done, for people
  package func update(done: Int64, total: Int64, note: String = "") {
    let now = ContinuousClock.now
    state.withLock { state in
      if state.started == nil {
        state.started = now
        state.startedAt = done
      }
      if isInteractive {
        if let last = state.lastDrawn, now - last < Self.redraw, done < total { return }
        state.lastDrawn = now
        state.isDrawn = true
        let line = self.line(done: done, total: total, note: note, bar: true, state: state, now: now)
        StandardError.command(
          Self.lineStart + line.prefix(max(20, Terminal.width(of: .standardError) - 1)))
      } else {
        if let last = state.lastPlain, now - last < Self.plainInterval { return }
        state.lastPlain = now
        StandardError.command(
          line(done: done, total: total, note: note, bar: false, state: state, now: now) + "\n")
      }
    }
  }

  /// Writes a line above the bar.
  package func say(_ text: String) {
    state.withLock { state in
      StandardError.command((state.isDrawn ? Self.lineStart : "") + text.visibleLine + "\n")
      state.isDrawn = false
    }
  }

  /// Takes the bar away.
  package func finish() {
    state.withLock { state in
      if state.isDrawn { StandardError.command(Self.lineStart) }
      state = State()
    }
  }

  private func line(
    done: Int64, total: Int64, note: String, bar: Bool, state: State, now: ContinuousClock.Instant
  ) -> String {
    let share = total > 0 ? min(1, max(0, Double(done) / Double(total))) : 0
    var text = title.visibleLine
    if bar {
      let filled = Int(share * 24)
      text += " [" + String(repeating: "#", count: filled) + String(repeating: ".", count: 24 - filled) + "]"
    }
    text += " \(Int(share * 100))%"
    switch unit {
    case .count: text += " \(done)/\(total)"
    case .bytes:
      text += " \(ByteCount.text(done)) of \(ByteCount.text(total))"
      if let started = state.started {
        let elapsed = now - started
        let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
        if seconds > 1, done > state.startedAt {
          text += ", \(ByteCount.text(Int64(Double(done - state.startedAt) / seconds)))/s"
        }
      }
    }
    return note.isEmpty ? text : text + "  " + note.visibleLine
  }
}

/// Sizes for people, in powers of ten, as disks and downloads are sold.
package enum ByteCount {
  /// "512 B", "98 MB", "1.1 GB".
  package static func text(_ bytes: Int64) -> String {
    switch bytes {
    case ..<1_000: "\(bytes) B"
    case ..<1_000_000: "\(bytes / 1_000) kB"
    case ..<1_000_000_000: "\(bytes / 1_000_000) MB"
    default: "\((Double(bytes) / 1e9).fixed(2)) GB"
    }
  }
}
