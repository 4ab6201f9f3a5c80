import Foundation

/// The script and style files that a page takes in.
///
/// Not by `Bundle.module`, which ends the process when the program was moved away from its build folder.
struct PageResources: Sendable {
  var charts: String
  var script: String
  var style: String

  private final class Anchor {}

  static func load() throws -> PageResources {
    let folder = try folder()
    func text(_ name: String) throws -> String {
      do {
        return try String(contentsOf: folder.appending(path: name), encoding: .utf8)
      } catch {
        throw ReportError(code: .missingResource, message: "cannot read \(folder.path)/\(name): \(error)")
      }
    }
    return PageResources(
      charts: try text("vega-embed.js"), script: try text("page.js"), style: try text("page.css"))
  }

  private static func folder() throws -> URL {
    let program = Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent()
    let library = Bundle(for: Anchor.self).bundleURL
    let places = [program, Bundle.main.resourceURL, library, library.deletingLastPathComponent()]
      .compactMap { $0 }
    var folders = places.flatMap { place in
      ["wanspec_Reporting.resources", "wanspec_Reporting.bundle"].map {
        place.appending(path: $0).appending(path: "Resources")
      }
    }
    folders += places.map { $0.appending(path: "wanspec_Reporting.bundle/Contents/Resources/Resources") }
    // On the machine that built it, the source folder serves as well.
    folders.append(
      URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Resources"))
    let found = folders.first {
      FileManager.default.fileExists(atPath: $0.appending(path: "vega-embed.js").path)
    }
    guard let found else {
      throw ReportError(
        code: .missingResource,
        message: "the chart script is missing: keep the folder wanspec_Reporting.resources beside the program"
          + (program.map { " in \($0.path)" } ?? ""))
    }
    return found
  }
}
