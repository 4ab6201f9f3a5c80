import Console
import Foundation

/// The file that this process was started from.
enum OwnProgram {
  static var path: String {
    get throws {
      #if os(Linux)
        return try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
      #else
        guard let path = Bundle.main.executablePath else {
          throw CommandFailure("cannot find my own program file")
        }
        return path
      #endif
    }
  }
}
