import Foundation
import ProcessControl

/// A real browser without a window, in which the pages are opened.
public struct Browser {
  public struct Missing: Error, CustomStringConvertible {
    public init() {}
    public var description: String {
      "no browser: run dev/bootstrap --tests (make test does), which installs one, or name a Chromium or Chrome "
        + "with WANSPEC_BROWSER=/path/to/it"
    }
  }

  public struct Failure: Error, CustomStringConvertible { public var description: String }

  /// Programs that understand `--dump-dom`, the leanest first.
  private static let names = [
    "chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
    "chrome-headless-shell", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
  ]

  public var program: String

  public static func find() async throws -> Browser {
    let environment = ProcessInfo.processInfo.environment
    if let named = environment["WANSPEC_BROWSER"], !named.isEmpty {
      guard let path = await ChildProcess.find(named, environment: environment) else {
        throw Failure(description: "WANSPEC_BROWSER: there is no program \(named)")
      }
      return Browser(program: path)
    }
    for name in names {
      if let path = await ChildProcess.find(name, environment: environment) { return Browser(program: path) }
    }
    throw Missing()
  }

  /// Opens a page from a file, lets its scripts run, and returns what the document has become.
  ///
  /// - Parameter width: of the window, in pixels
  public func open(
    _ html: String, width: Int = 1200, timeLimit: Duration = .seconds(90)
  ) async throws -> Document {
    let folder = FileManager.default.temporaryDirectory.appending(path: "wanspec-page-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appending(path: "page.html")
    try Data(html.utf8).write(to: file)
    let child = try await ChildProcess.start(
      "browser", program: program,
      arguments: [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions",
        "--disable-background-networking", "--no-first-run", "--hide-scrollbars",
        "--window-size=\(width),900", "--user-data-dir=\(folder.path)/profile",
        "--virtual-time-budget=30000", "--dump-dom",
        file.absoluteString,
      ], keptOutput: 64 << 20)
    child.closeInput()
    let limit = Task {
      try await Task.sleep(for: timeLimit)
      await child.stop(patience: .seconds(1))
    }
    let exit = await child.exit()
    limit.cancel()
    guard exit == .status(0), child.output.contains("</html>") else {
      throw Failure(description: "\(program) ended with \(exit): \(child.errors.suffix(2000))")
    }
    return Document(text: child.output)
  }
}

/// The document after its scripts have run, and what they noted in it.
public struct Document {
  public var text: String

  private func attribute(_ name: String) -> String? {
    guard let tag = text.firstMatch(of: /<html[^>]*>/) else { return nil }
    return String(tag.0).components(separatedBy: "\(name)=\"").dropFirst().first?
      .components(separatedBy: "\"").first
  }

  public var isDone: Bool { attribute("data-state") == "done" }
  public var charts: Int? { attribute("data-charts").flatMap { Int($0) } }
  public var drawn: Int? { attribute("data-charts-drawn").flatMap { Int($0) } }
  public var errors: Int? { attribute("data-errors").flatMap { Int($0) } }
  public var warnings: Int? { attribute("data-warnings").flatMap { Int($0) } }

  /// What is wrong with the page, in words; empty if every chart was drawn without an error.
  public var faults: [String] {
    var faults: [String] = []
    if !isDone { faults.append("the page's script did not come to its end") }
    if drawn == nil || drawn != charts { faults.append("\(drawn ?? -1) of \(charts ?? -1) charts drawn") }
    if errors != 0 { faults.append("\(errors ?? -1) errors: \(problems.joined(separator: "; "))") }
    if warnings != 0 { faults.append("\(warnings ?? -1) warnings") }
    return faults
  }

  /// The errors that the page shows its reader.
  public var problems: [String] {
    guard let list = text.firstMatch(of: /<ul id="problems"[^>]*>(.*?)<\/ul>/.dotMatchesNewlines()) else {
      return []
    }
    return String(list.1).matches(of: /<li>(.*?)<\/li>/.dotMatchesNewlines()).map { String($0.1) }
  }

  /// How many marks of data a chart has.
  public func marks(_ chart: Int) -> Int? {
    guard let start = text.range(of: "<div class=\"view") else { return nil }
    for tag in text[start.lowerBound...].matches(of: /<div class="view[^>]*>/) {
      let tag = String(tag.0)
      if tag.contains("id=\"view-\(chart)\"") {
        return tag.components(separatedBy: "data-marks=\"").dropFirst().first?
          .components(separatedBy: "\"").first.flatMap { Int($0) }
      }
    }
    return nil
  }

  /// The picture of a chart, as SVG.
  public func picture(_ chart: Int) -> String? {
    guard let view = text.range(of: "id=\"view-\(chart)\""),
      let end = text.range(of: "<figcaption>", range: view.upperBound..<text.endIndex)
    else { return nil }
    return String(text[view.upperBound..<end.lowerBound])
  }
}
