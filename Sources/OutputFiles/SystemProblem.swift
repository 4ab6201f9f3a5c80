import Foundation

/// What Foundation's errors say, in the system's words: as text they are a dictionary.
package enum SystemProblem {
  /// "No space left on device".
  package static func words(_ error: any Error) -> String {
    guard let problem = foundation(error) else { return "\(error)" }
    if let number = number(problem) { return String(cString: strerror(number)) }
    let text = problem.localizedDescription
    return text.hasSuffix(".") ? String(text.dropLast()) : text
  }

  /// The same with the path that it is about; nil for other errors than Foundation's.
  package static func sentence(_ error: any Error) -> String? {
    guard let problem = foundation(error) else { return nil }
    let path = problem.userInfo[NSFilePathErrorKey] ?? problem.userInfo["NSURL"]
    return (path.map { "\($0): " } ?? "") + words(error)
  }

  private static func foundation(_ error: any Error) -> NSError? {
    switch error {
    case let error as CocoaError: error as NSError
    case let error as POSIXError: error as NSError
    case let error as URLError: error as NSError
    default: type(of: error) == NSError.self ? error as NSError : nil
    }
  }

  private static func number(_ error: NSError) -> Int32? {
    if error.domain == NSPOSIXErrorDomain { return Int32(error.code) }
    if let cause = error.userInfo[NSUnderlyingErrorKey] as? any Error, let cause = foundation(cause) {
      return number(cause)
    }
    guard error.domain == NSCocoaErrorDomain else { return nil }
    switch CocoaError.Code(rawValue: error.code) {
    case .fileNoSuchFile, .fileReadNoSuchFile: return ENOENT
    case .fileReadNoPermission, .fileWriteNoPermission: return EACCES
    case .fileWriteOutOfSpace: return ENOSPC
    case .fileWriteFileExists: return EEXIST
    default: return nil
    }
  }
}
