import ArgumentParser
import Foundation

/// The names of files that a command writes.
package enum OutputName {
  /// Ends of names that promise a format.
  private static let formats: Set<String> = [
    "arrow", "avro", "bz2", "csv", "db", "feather", "gz", "htm", "html", "json", "jsonl", "md", "ndjson",
    "orc",
    "parquet", "pdf", "png", "sqlite", "svg", "tsv", "xls", "xlsx", "xml", "xz", "yaml", "zip", "zst",
  ]

  /// The end of a name after its last dot, small; nil where it has none.
  package static func end(of path: String) -> String? {
    let name = path.split(separator: "/").last ?? ""
    return name.lastIndex(of: ".").map { name[name.index(after: $0)...].lowercased() }
  }

  /// Whether two names lead to one file, links followed.
  package static func isSameFile(_ a: String, _ b: String) -> Bool {
    URL(filePath: a).standardizedFileURL.resolvingSymlinksInPath()
      == URL(filePath: b).standardizedFileURL.resolvingSymlinksInPath()
  }

  /// Refuses a name that promises another format than the one that is written.
  ///
  /// - Parameters:
  ///   - what: what is written: "one page"
  ///   - ends: of names for it, without the dot
  /// - Throws: `ValidationError`
  package static func check(_ path: String?, for what: String, _ ends: [String], hint: String? = nil) throws {
    guard let path, let end = end(of: path), formats.contains(end), !ends.contains(end) else { return }
    let names = ends.map { ".\($0)" }.joined(separator: " or ")
    throw ValidationError(
      "--output \(path): \(what) is written, no .\(end); end its name in \(names)."
        + (hint.map { "\n  hint: \($0)" } ?? ""))
  }
}
