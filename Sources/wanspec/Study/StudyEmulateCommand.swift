import ArgumentParser
import CommandSettings
import Console
import Foundation
import OutputFiles
import RegionEmulator
import Serving
import Spelling

struct StudyEmulateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "emulate",
    abstract:
      "Serve model APIs of many regions from this machine, with queues, days and faults that are known.",
    discussion: """
      A file says how each emulated region is: servers, service times, load over the day, faults. Answers come in OpenAI's \
      form at /SOURCE/REGION/v1 and in Bedrock's at /SOURCE/REGION/model/ID. The time of day may run faster than real \
      time; latencies never do. --campaign writes a campaign that probes all of it:

        wanspec study emulate Scenarios/study/paper-shapes.yaml --campaign campaign.yaml &
        wanspec study run campaign.yaml --source eu-west-2

      With --network (as root, on Linux) a network device delays packets, so that handshakes and the kernel's round \
      trips are as long as they would be; without, each answer is held back, and reports say that round trips are none.

      docs/study.md lists the keys of the file.
      """)

  @Argument(help: ArgumentHelp("File of emulated regions.", valueName: "file"), completion: .file())
  var emulated: String

  @Option(Settings.emulatorPort) var listen: HostPort?

  @Option(
    help: ArgumentHelp("Write a campaign for these regions here.", valueName: "file"), completion: .file())
  var campaign: String?

  @Option(parsing: .unconditional, help: ArgumentHelp("Of that campaign.", valueName: "days"))
  var days: Double = 7

  @Option(help: ArgumentHelp("Interval of that campaign.", valueName: "duration"))
  var every = "15min"

  @Option(
    help: ArgumentHelp("Write a JSON line for each request here: what is true.", valueName: "file"),
    completion: .file())
  var log: String?

  @Flag(help: "Delay packets with a network device. Linux, as root.")
  var network = false

  @Flag(Settings.json) var json = false

  @Flag(help: ArgumentHelp("End when standard input does.", visibility: .hidden))
  var exitWithParent = false

  mutating func validate() throws {
    listen = try Settings.emulatorPort.resolve(listen)
    json = try Settings.json.resolve(json)
    guard days > 0, days <= 366 else {
      throw ValidationError("--days must be above 0 and at most 366, not \(days).")
    }
  }

  func run() async throws {
    let emulated = try EmulatedRegions.read(emulated)
    let address = listen!
    TerminationSignals.install()
    let delayed = network ? try DelayedNetwork.start(emulated) : nil
    let lines = EventLines(json: json)
    let emulator: RegionEmulator
    do {
      emulator = try await RegionEmulator.start(
        emulated, host: network ? "0.0.0.0" : address.host, port: address.port, log: log,
        isDelayedOutside: network, notice: { lines.say("notice", $0) })
    } catch {
      await delayed?.stop()
      throw error
    }
    let place = "\(network ? "127.0.0.1" : address.host):\(emulator.port)"
    if let campaign {
      let text = emulated.campaign(
        address: place, days: days, every: every, locals: delayed?.sourceAddresses ?? [:],
        hosts: delayed?.regionAddresses ?? [:])
      try OutputFile.write(text, to: campaign)
    }
    lines.say(
      "ready",
      "\(emulated.name): \(emulated.sites.count.counted("region")) for \(emulated.sources.count.counted("source")) at http://\(place), "
        + "time runs \(emulated.acceleration.fixed(0)) times as fast"
        + (campaign.map { "; campaign: \($0)" } ?? ""),
      [
        "name": emulated.name, "port": emulator.port, "acceleration": emulated.acceleration,
        "campaign": campaign ?? "",
      ])
    await TerminationSignals.first(exitWithParent: exitWithParent)
    await emulator.stop()
    await delayed?.stop()
    let counts = emulator.statistics
    lines.say(
      "end", "\(counts.requests.counted("request")), \(counts.refusals) refused",
      ["requests": counts.requests, "refusals": counts.refusals, "log_lines_lost": counts.logLinesLost])
    guard counts.logLinesLost == 0 else {
      throw CommandFailure(
        "the log lacks \(counts.logLinesLost) lines: the disk did not take them",
        hint: "make room, or write it elsewhere, and begin anew")
    }
  }
}
