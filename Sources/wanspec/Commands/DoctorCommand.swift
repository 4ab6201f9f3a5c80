import ArgumentParser
import CommandSettings
import Console
import Foundation
import ModelStore
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

struct DoctorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Tell what is installed, what this machine can do and what is missing.",
    discussion: """
      Exit code 0 when 'wanspec demo' could run, 1 otherwise. Changes nothing.

      With --determinism it loads a model and compares, to the bit, what it says of a text in passes of different \
      shapes: alone, in pieces, beside others, from the cache. Exit code 0 when all agree, 3 otherwise.

      Examples:
        wanspec doctor
        wanspec doctor --determinism qwen2.5-coder-1.5b-instruct-bf16 --threads 2
      """)

  @Flag(Settings.json) var json = false

  @Option(Settings.determinism) var determinism: String?

  @OptionGroup(title: "Engine, with --determinism") var engine: EngineOptions

  mutating func validate() throws {
    json = try Settings.json.resolve(json)
    determinism = try Settings.determinism.resolve(determinism)
  }

  func run() async throws {
    if let determinism { return try await compareShapes(of: determinism) }
    let findings = Self.examine()
    if json {
      JSONLine.print([
        "ready": !findings.contains { $0.level == .missing },
        "version": BuildInformation.version,
        "findings": findings.map(\.object),
      ])
    } else {
      let color = Terminal.wantsColor(on: .standardOutput)
      let width = findings.map(\.name.count).max() ?? 0
      for finding in findings {
        let (mark, style): (String, TextStyle) =
          switch finding.level {
          case .fine: ("ok     ", .green)
          case .note: ("note   ", .yellow)
          case .missing: ("missing", .red)
          }
        var line = StyledText(mark, color ? style : nil)
        let name = finding.name.padding(toLength: width, withPad: " ", startingAt: 0)
        line.append("  \(name)  \(finding.text)")
        if let fix = finding.fix {
          let indent = String(repeating: " ", count: 9 + width)
          line.append("\n\(indent)  ")
          line.append("to fix: \(fix)", color ? .bold : nil)
        }
        StandardOutput.line(line)
      }
      let missing = findings.count { $0.level == .missing }
      let verdict =
        missing == 0
        ? "ready: wanspec demo can run"
        : "\(missing) thing\(missing == 1 ? "" : "s") missing for wanspec demo"
      StandardOutput.line("\n" + verdict)
    }
    if findings.contains(where: { $0.level == .missing }) { throw ExitCode.failure }
  }

  struct Finding: Sendable {
    enum Level: String, Sendable {
      /// As it should be.
      case fine = "ok"
      /// Works, but worse than it could.
      case note
      /// The demo cannot run without it.
      case missing
    }

    var name: String
    var level: Level
    var text: String
    /// The command that mends it.
    var fix: String?

    var object: [String: any Sendable] {
      var object: [String: any Sendable] = ["name": name, "level": level.rawValue, "text": text]
      object["fix"] = fix
      return object
    }
  }

  static func examine() -> [Finding] {
    let store = ModelStore()
    return [machine, memory, affinity, priority] + engine + models(store) + [cache(store), python]
  }

  private static var machine: Finding {
    let cores = ProcessInfo.processInfo.activeProcessorCount
    let text = "\(ProcessInfo.processInfo.operatingSystemVersionString), \(cores) cores"
    return cores >= 2
      ? Finding(name: "machine", level: .fine, text: text)
      : Finding(
        name: "machine", level: .note,
        text: text + "; target and draft share it, so the demo's speeds mean nothing")
  }

  private static var memory: Finding {
    let total = Int64(clamping: ProcessInfo.processInfo.physicalMemory)
    // BF16 target, draft, and their caches, in three processes.
    let enough: Int64 = 6_000_000_000
    return Finding(
      name: "memory", level: total >= enough ? .fine : .note,
      text: ByteCount.text(total) + (total >= enough ? "" : "; the demo's models want 6 GB"))
  }

  private static var affinity: Finding {
    #if os(Linux)
      // The cores that this process may use: fewer than the machine has in a container or under taskset.
      let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)
      let line = status?.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") }
      let cores = line?.split(separator: ":").last?.trimmingCharacters(in: .whitespaces)
      return Finding(
        name: "pinning", level: .fine, text: "threads can be pinned to cores \(cores ?? "of this machine")")
    #else
      return Finding(
        name: "pinning", level: .note,
        text: "this system cannot pin threads to cores; figures will vary more")
    #endif
  }

  private static var priority: Finding {
    let can = canRaisePriority()
    return Finding(
      name: "priority", level: can ? .fine : .note,
      text: can
        ? "timing threads can be given priority"
        : "not allowed to raise priority; emulated network delays may be a little late under load")
  }

  /// Tries it, on a thread that ends at once.
  private static func canRaisePriority() -> Bool {
    #if os(Linux)
      let result = Mutex(false)
      let done = DispatchSemaphore(value: 0)
      Thread.detachNewThread {
        var parameters = sched_param()
        parameters.sched_priority = sched_get_priority_min(SCHED_RR)
        let raised = sched_setscheduler(0, SCHED_RR, &parameters) == 0
        result.withLock { $0 = raised }
        done.signal()
      }
      done.wait()
      return result.withLock { $0 }
    #else
      return true
    #endif
  }

  private static var engine: [Finding] {
    var findings = [
      Finding(
        name: "engine", level: .fine,
        text: EmbeddedEngine.description)
    ]
    for device in EmbeddedEngine.devices {
      findings.append(
        Finding(
          name: "device", level: .fine,
          text: "\(device.name) (\(device.kind)): \(device.description), "
            + "\(ByteCount.text(Int64(device.memory)))"))
    }
    return findings
  }

  private static func models(_ store: ModelStore) -> [Finding] {
    let needed = [DefaultModels.target, DefaultModels.draft]
    return store.catalog.entries.compactMap { entry in
      let state = store.state(of: entry)
      let isNeeded = needed.contains(entry.name)
      let name = "model"
      let text = "\(entry.name): \(entry.status(of: state))"
      let fix = "wanspec models pull \(entry.name)"
      switch state {
      case .present, .unverified: return Finding(name: name, level: .fine, text: text)
      case .corrupt:
        return Finding(name: name, level: isNeeded ? .missing : .note, text: text, fix: fix)
      case .absent, .partial:
        // What the demo does not need is not worth a line.
        return isNeeded ? Finding(name: name, level: .missing, text: text, fix: fix) : nil
      }
    }
  }

  private static func cache(_ store: ModelStore) -> Finding {
    let folder = store.directory.path
    guard let free = store.freeBytes else { return Finding(name: "cache", level: .note, text: folder) }
    let missing = [DefaultModels.target, DefaultModels.draft].compactMap { store.catalog[$0] }
      .filter { store.state(of: $0) != .present && store.state(of: $0) != .unverified }
      .reduce(Int64(0)) { $0 + 2 * $1.bytes }
    let text = "\(folder), \(ByteCount.text(free)) free"
    return free > missing
      ? Finding(name: "cache", level: .fine, text: text)
      : Finding(
        name: "cache", level: .missing,
        text: text + ", and the missing models need \(ByteCount.text(missing))",
        fix: "free some space, or set WANSPEC_CACHE to a folder on another disk")
  }

  /// Needed for downloads only, so that its lack is a note.
  private static var python: Finding {
    let environment = ProcessInfo.processInfo.environment
    let name = environment["WANSPEC_PYTHON"] ?? "python3"
    let candidates =
      name.contains("/")
      ? [name] : (environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":").map { "\($0)/\(name)" }
    if let found = candidates.first(where: FileManager.default.isExecutableFile(atPath:)) {
      return Finding(name: "python", level: .fine, text: "\(found), for downloading models")
    }
    return Finding(
      name: "python", level: .note, text: "there is no \(name), so models cannot be downloaded",
      fix: "install python3, or put model files in place with: wanspec models add NAME FILE")
  }
}
