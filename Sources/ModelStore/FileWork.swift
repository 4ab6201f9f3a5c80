import Foundation

#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Work on files whose failures say which file, what the system says and what to do.
enum FileWork {
  /// - Throws: `ModelStoreError` (`diskFull`, `fileProblem`) in place of what Foundation throws
  static func on<Result>(_ url: URL, _ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch let error as ModelStoreError {
      throw error
    } catch let error as CancellationError {
      throw error
    } catch {
      throw failure(
        of: url, number: systemError(error), otherwise: "\((error as NSError).localizedDescription)")
    }
  }

  /// Gives a file another name, in place of what had that name.
  static func rename(_ source: URL, to destination: URL) throws {
    guard Foundation.rename(source.path, destination.path) == 0 else {
      throw failure(of: destination, number: errno, otherwise: "")
    }
  }

  private static func failure(of url: URL, number: Int32?, otherwise: String) -> ModelStoreError {
    let reason = number.map { String(cString: strerror($0)) } ?? otherwise
    let message = "cannot write \(url.path): \(reason)"
    if let number, [ENOSPC, EDQUOT, EFBIG].contains(number) {
      return ModelStoreError(
        .diskFull, message, hint: "free some space, or set WANSPEC_CACHE to a folder on another disk")
    }
    return ModelStoreError(
      .fileProblem, message, hint: "check the permissions, or set WANSPEC_CACHE to another folder")
  }

  /// The number of the system's error that is behind Foundation's.
  private static func systemError(_ error: any Error) -> Int32? {
    var next: NSError? = error as NSError
    while let error = next {
      if error.domain == NSPOSIXErrorDomain { return Int32(error.code) }
      next = error.userInfo[NSUnderlyingErrorKey] as? NSError
    }
    switch (error as? CocoaError)?.code {
    case .fileWriteOutOfSpace: return ENOSPC
    case .fileWriteNoPermission: return EACCES
    case .fileWriteVolumeReadOnly: return EROFS
    default: return nil
    }
  }
}
