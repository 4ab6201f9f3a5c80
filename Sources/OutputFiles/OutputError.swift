import Failures
import Foundation

/// Why a file was not written: one line that names it, and what to do.
package typealias OutputError = Failure<OutputErrorCode>

package struct OutputErrorCode: Hashable, Sendable {
  private let name: String
  private init(_ name: String) { self.name = name }

  /// No room, a quota, a limit on the size of files.
  package static let diskFull = OutputErrorCode("diskFull")
  /// Nobody reads what is written.
  package static let readerGone = OutputErrorCode("readerGone")
  /// The path leads to something that cannot take it.
  package static let unsuitable = OutputErrorCode("unsuitable")
  package static let failed = OutputErrorCode("failed")
}

extension OutputError {
  /// - Parameter number: an `errno`
  package static func writing(_ path: String, _ number: Int32, _ verb: String = "write") -> OutputError {
    let message = "cannot \(verb) \(path): \(String(cString: strerror(number)))"
    return switch number {
    case ENOSPC, EDQUOT: OutputError(.diskFull, message, hint: "make room, or write it elsewhere")
    case EFBIG: OutputError(.diskFull, message, hint: "raise the limit (ulimit -f), or write it elsewhere")
    case EPIPE: OutputError(.readerGone, message)
    case ENOENT, ENOTDIR: OutputError(.failed, message, hint: "check that its folder exists")
    default: OutputError(.failed, message, hint: "check the path and its permissions")
    }
  }
}
