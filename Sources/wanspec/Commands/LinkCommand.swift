import ArgumentParser
import CommandSettings
import Console
import Failures
import Foundation
import Serving
import WideArea

/// `wanspec link`: imposes a wide-area link on TCP traffic.
struct LinkCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "link",
    abstract: "Put a wide-area link between a worker and a controller.",
    discussion: """
      Listens, dials the other end for each connection, and hands bytes on as late as a wide-area network \
      would. Point the worker at --listen and the link at the controller with --connect.

      A link of 100 ms round trip (50 ms each way):
        wanspec link --connect 127.0.0.1:7070 --rtt 100ms

      Slower up than down, with jitter, 20 Mbit/s and some loss:
        wanspec link --connect 127.0.0.1:7070 --delay-up 60ms --delay-down 40ms \\
          --jitter lognormal:2ms,0.5 --rate 20mbit --loss 0.1%

      After 5 s and then every 30 s, 2 s without a network; after 60 s, 3 s that kill connections:
        wanspec link --rtt 30ms --outage 5s+2s/30s --outage 60s+3s:reset

      Loss appears as it does to programs that use TCP: nothing goes missing, but a lost segment stalls all \
      behind it until its retransmission arrives. The link measures its own lateness and prints it at the end \
      (Ctrl-C).

      Jitter (added to the delay, one sample for each burst): none, uniform:MAXIMUM, normal:MEAN,DEVIATION, \
      lognormal:MEDIAN,SIGMA, pareto:SCALE,SHAPE. Durations need a unit: ns, us, ms, s, min, h.

      Every option has an environment variable, WANSPEC_LINK_ and its name, such as WANSPEC_LINK_RTT=100ms or \
      WANSPEC_LINK_DELAY_UP=50ms; a flag wins over it. WANSPEC_LINK_OUTAGE separates outages by spaces. \
      --insecure has WANSPEC_INSECURE.
      """)

  @Option(Settings.Link.listen) var listen: HostPort?

  @Option(Settings.Link.connect) var connect: HostPort?

  @Option(Settings.Link.rtt) var rtt: DurationArgument?

  @Option(Settings.Link.delayUp) var delayUp: DurationArgument?

  @Option(Settings.Link.delayDown) var delayDown: DurationArgument?

  @Option(Settings.Link.jitter) var jitter: JitterArgument?

  @Option(Settings.Link.rate) var rate: RateArgument?

  @Option(Settings.Link.loss) var loss: LossArgument?

  @Option(Settings.Link.outages) var outage: [OutageArgument] = []

  @Option(Settings.Link.seed) var seed: UInt64?

  @Option(Settings.Link.model, completion: .file()) var model: String?

  @Option(Settings.Link.reportEvery) var reportEvery: DurationArgument?

  @Flag(Settings.insecure) var insecure = false

  @Flag(Settings.Link.json) var json = false

  @Flag(help: ArgumentHelp("End when standard input does.", visibility: .hidden))
  var exitWithParent = false

  func validate() throws { _ = try LinkSettings(self) }

  func run() async throws {
    let settings = try LinkSettings(self)
    let output = LinkOutput(json: settings.json)
    TerminationSignals.install()
    let emulator = try await LinkEmulator.start(settings.emulator) { output.notice($0) }
    output.ready(emulator)
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await TerminationSignals.first(exitWithParent: exitWithParent) }
      if let interval = settings.reportEvery {
        group.addTask {
          while (try? await Task.sleep(for: interval)) != nil {
            output.report(await emulator.snapshot(), "report")
          }
        }
      }
      await group.next()
      group.cancelAll()
    }
    await emulator.stop()
    output.report(await emulator.snapshot(), "end")
  }
}

/// What the options, their environment variables and the model file say together.
private struct LinkSettings {
  var emulator: LinkEmulator.Configuration
  var reportEvery: Duration?
  var json: Bool

  init(_ command: LinkCommand) throws {
    let listen = try Settings.Link.listen.value(command.listen)
    let connect = try Settings.Link.connect.value(command.connect)
    guard connect.port != 0 else { throw ValidationError("--connect needs a port above 0") }
    let areBothHere =
      (listen.isLoopback || listen.isWildcard) && (connect.isLoopback || connect.isWildcard)
    guard listen.port != connect.port || !(areBothHere || listen.host == connect.host) else {
      throw ValidationError(
        "--listen \(listen) would take what is meant for --connect \(connect); the link would dial itself")
    }
    let isInsecure = try Settings.insecure.resolve(command.insecure)
    for (flag, address) in [("--listen", listen), ("--connect", connect)]
    where !address.isLoopback && !isInsecure {
      throw ValidationError(
        "\(flag) \(address) is not on this machine alone and the link carries plaintext; "
          + "add --insecure to allow it.")
    }

    emulator = LinkEmulator.Configuration(
      listenHost: listen.host, listenPort: listen.port, connectHost: connect.host,
      connectPort: connect.port, model: try Self.model(command))
    if let problem = emulator.problem { throw ValidationError(problem) }
    let interval = try Settings.Link.reportEvery.resolve(command.reportEvery)
    if let interval, interval.nanoseconds < 1_000_000 {
      throw ValidationError("--report-every must be at least 1 ms")
    }
    reportEvery = interval?.duration
    json = try Settings.Link.json.resolve(command.json)
  }

  /// The file's model with what flags and variables change of it.
  private static func model(_ command: LinkCommand) throws -> LinkModel {
    var model = LinkModel()
    if let path = try Settings.Link.model.resolve(command.model) { model = try load(path) }
    // A flag of the delay group sets the environment's whole group aside.
    let flags = command.rtt != nil || command.delayUp != nil || command.delayDown != nil
    let rtt = flags ? command.rtt : try Settings.Link.rtt.resolve(nil)
    let up = flags ? command.delayUp : try Settings.Link.delayUp.resolve(nil)
    let down = flags ? command.delayDown : try Settings.Link.delayDown.resolve(nil)
    if rtt != nil && (up != nil || down != nil) {
      throw ValidationError("give either --rtt or --delay-up and --delay-down, not both")
    }
    if let rtt {
      model.up.delayMilliseconds = rtt.milliseconds / 2
      model.down.delayMilliseconds = rtt.milliseconds / 2
    }
    if let up { model.up.delayMilliseconds = up.milliseconds }
    if let down { model.down.delayMilliseconds = down.milliseconds }
    if let jitter = try Settings.Link.jitter.resolve(command.jitter) {
      model.up.jitter = jitter.distribution
      model.down.jitter = jitter.distribution
    }
    if let rate = try Settings.Link.rate.resolve(command.rate) {
      model.up.rateBitsPerSecond = rate.bitsPerSecond
      model.down.rateBitsPerSecond = rate.bitsPerSecond
    }
    if let loss = try Settings.Link.loss.resolve(command.loss) {
      model.up.loss = loss.probability
      model.down.loss = loss.probability
    }
    let outages = try Settings.Link.outages.resolve(command.outage)
    if !outages.isEmpty { model.outages = outages.map(\.outage) }
    if let seed = try Settings.Link.seed.resolve(command.seed) { model.seed = seed }
    return model
  }

  private static func load(_ path: String) throws -> LinkModel {
    let data: Data
    do {
      data = try Data(contentsOf: URL(fileURLWithPath: path))
    } catch {
      throw ValidationError("--model \(path): the file cannot be read; check that it exists")
    }
    do {
      return try JSONDecoder().decode(LinkModel.self, from: data)
    } catch let error as DecodingError {
      throw ValidationError("--model \(path): \(error.words)")
    }
  }
}

/// What the command prints: lines for people, or JSON lines for programs.
private struct LinkOutput: Sendable {
  var json: Bool

  private struct Ready: Encodable {
    var event = "ready"
    var host: String
    var port: Int
    var connect: String
    var priority: ThreadPriority
    var model: LinkModel
  }

  private struct Notice: Encodable {
    var event = "notice"
    var message: String
  }

  private struct Report: Encodable {
    var event: String
    var figures: LinkSnapshot
  }

  func ready(_ emulator: LinkEmulator) {
    let configuration = emulator.configuration
    let near = HostPort(host: configuration.listenHost, port: emulator.port)
    let far = HostPort(host: configuration.connectHost, port: configuration.connectPort)
    if json {
      return encode(
        Ready(
          host: near.host, port: near.port, connect: far.description, priority: emulator.priority,
          model: configuration.model))
    }
    line(
      "link ready on \(near) -> \(far) \(Self.describe(configuration.model)), \(emulator.priority.rawValue) priority"
    )
  }

  func notice(_ event: LinkEvent) {
    if json { return encode(Notice(message: event.description)) }
    StandardError.write("link: \(event)\n")
  }

  func report(_ figures: LinkSnapshot, _ event: String) {
    if json { return encode(Report(event: event, figures: figures)) }
    var text = "link: \(figures.connections) connections"
    if figures.openConnections > 0 { text += " (\(figures.openConnections) open)" }
    if figures.refusedByUpstream > 0 { text += ", \(figures.refusedByUpstream) refused by the far end" }
    if figures.resetByOutage > 0 { text += ", \(figures.resetByOutage) reset by outages" }
    if figures.refusedInOutage > 0 { text += ", \(figures.refusedInOutage) refused in outages" }
    text += ", \(figures.up.bytesDelivered) bytes up, \(figures.down.bytesDelivered) bytes down"
    let error = figures.error
    if error.writes > 0 {
      func time(_ nanoseconds: UInt64) -> String {
        DurationArgument.describe(milliseconds: Double(nanoseconds) / 1e6)
      }
      text += ", own error p50 \(time(error.p50)), p99 \(time(error.p99)), max \(time(error.max)) "
      text += "over \(error.writes) writes"
    }
    line(text)
  }

  private static func describe(_ model: LinkModel) -> String {
    func time(_ milliseconds: Double) -> String { DurationArgument.describe(milliseconds: milliseconds) }
    let (up, down) = (model.up, model.down)
    var text = "rtt \(time(up.delayMilliseconds + down.delayMilliseconds))"
    if up.delayMilliseconds != down.delayMilliseconds {
      text += " (up \(time(up.delayMilliseconds)), down \(time(down.delayMilliseconds)))"
    }
    func both(_ name: String, _ value: (LinkDirection) -> String?) {
      let (first, second) = (value(up), value(down))
      if first == second {
        if let first { text += ", \(name) \(first)" }
      } else {
        text += ", \(name) up \(first ?? "none") down \(second ?? "none")"
      }
    }
    both("jitter") { $0.jitter == .none ? nil : $0.jitter.description }
    both("rate") { $0.rateBitsPerSecond.map { "\($0 / 1e6) Mbit/s" } }
    both("loss") { $0.loss == 0 ? nil : "\($0.loss * 100)%" }
    if !model.outages.isEmpty { text += ", \(model.outages.count) outages planned" }
    return text
  }

  private func encode(_ value: some Encodable) {
    if let data = try? JSONLine.data(value) { StandardOutput.offer(data) }
  }

  /// Written at once and whole: a parent waits for it at the other end of a pipe. A reader that has gone away
  /// does not matter.
  private func line(_ text: String) {
    StandardOutput.offer(Data((text + "\n").utf8))
  }
}
