import Foundation

/// The file that a name leads to.
enum LinkTarget {
  /// As many as Linux follows.
  private static let maxLinks = 40

  /// Follows links, also to a file that is not there yet.
  static func path(of path: String) -> String {
    var url = URL(filePath: path)
    for _ in 0..<maxLinks {
      guard let next = try? FileManager.default.destinationOfSymbolicLink(atPath: url.path) else { break }
      url = URL(filePath: next, relativeTo: url.deletingLastPathComponent())
    }
    return url.deletingLastPathComponent().resolvingSymlinksInPath().appending(path: url.lastPathComponent)
      .path
  }
}
