import Credentials
import DraftExchange
import Foundation
import Logging
import ModelBackend
import NodeRuntime
import Serving
import Simulator
import SpeculationCore
import SpeculationTesting
import Synchronization
import Testing

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// The library with engines of another maker: scripted ones, over real connections.
struct ServingTests {
  static let script = ScriptedModel(seed: 7, vocabularySize: 40, endProbability: 0, agreement: 0.85)
  static let timing = ScriptedTiming(pass: .milliseconds(5))
  static let anyPort = HostPort(host: "127.0.0.1", port: 0)

  static func controller(listen: HostPort? = anyPort) -> ControllerHost.Settings {
    ControllerHost.Settings(target: { ScriptedTarget(script, timing: timing) }, listen: listen)
  }

  /// A worker dials, drafts, and leaves in order; the text is the target's own.
  @Test func aWorkerDraftsForAController() async throws {
    let prompt: [TokenID] = [3, 1, 4, 1, 5]
    try await ControllerHost.run(Self.controller()) { host in
      let port = try await host.listener!.boundPort
      let (stop, stopping) = AsyncStream<Void>.makeStream()
      let events = Mutex<[String]>([])
      let worker = Task {
        try await WorkerHost.run(
          WorkerHost.Settings(controllers: [HostPort(host: "127.0.0.1", port: port)], name: "scripted"),
          draft: ScriptedDraft(Self.script, timing: ScriptedTiming(pass: .milliseconds(1))),
          until: { for await _ in stop { return } },
          report: { event in
            switch event {
            case .ready: events.withLock { $0.append("ready") }
            case .connected(let controller, _): events.withLock { $0.append("connected to \(controller)") }
            default: break
            }
          })
      }
      #expect(await host.node.waitForWorker(timeout: .seconds(10)))
      var tokens: [TokenID] = []
      var remote = 0
      let request = GenerationRequest(
        prompt: prompt, maxTokens: 80,
        speculation: SpeculationByHand(lookup: 0, minGain: 0).settings(for: .wan, hasLocal: false))
      for try await case .tokens(let new, _, _) in await host.node.generate(request) {
        tokens += new.map(\.token)
        remote += new.count { $0.origin == .remote }
      }
      #expect(tokens == Self.script.plain(prompt, sampling: .greedy, maxTokens: 80))
      #expect(remote > 10)
      stopping.finish()
      #expect(try await worker.value > 0)
      #expect(events.withLock { $0 } == ["ready", "connected to controller"])
    }
  }

  /// OpenAI's API in front of any engine; what it cannot do is refused by name.
  @Test func aServerInFrontOfAnyEngine() async throws {
    var settings = ModelServer.Settings(name: "scripted", controller: Self.controller())
    settings.gateway.port = 0
    settings.log.logLevel = .error
    let (stop, stopping) = AsyncStream<Void>.makeStream()
    let (ports, portSource) = AsyncStream<Int>.makeStream()
    let server = Task { [settings] in
      try await ModelServer.run(
        settings, ready: { _, port, _ in portSource.yield(port) }, until: { for await _ in stop { return } })
    }
    let port = try #require(await ports.first { _ in true })
    func ask(_ body: String) async throws -> (Int, String) {
      var request = URLRequest(url: try #require(URL(string: "http://127.0.0.1:\(port)/v1/completions")))
      request.httpMethod = "POST"
      request.setValue("application/json", forHTTPHeaderField: "Content-Type")
      request.httpBody = Data(body.utf8)
      let (data, response) = try await URLSession.shared.data(for: request)
      return ((response as? HTTPURLResponse)?.statusCode ?? 0, String(decoding: data, as: UTF8.self))
    }
    let plain = Self.script.plain([3, 1, 4], sampling: .greedy, maxTokens: 6)
    let (status, text) = try await ask(#"{"prompt": [3, 1, 4], "max_tokens": 6, "temperature": 0}"#)
    #expect(status == 200 && text.contains(plain.map { "\($0) " }.joined()), "\(text)")
    let (refused, why) = try await ask(#"{"prompt": [3], "max_tokens": 6, "grammar": "root ::= [0-9]"}"#)
    #expect(refused == 400 && why.contains("follows no grammars"), "\(refused) \(why)")
    stopping.finish()
    try await server.value
  }

  @Test func whatCannotBeServedIsTold() async throws {
    let other = ScriptedModel(seed: 7, vocabularySize: 41, endProbability: 0, agreement: 0.85)
    var settings = Self.controller(listen: nil)
    settings.local = { ScriptedDraft(other, timing: Self.timing) }
    let vocabularies = await #expect(throws: ServingError.self) {
      try await ControllerHost.run(settings) { _ in }
    }
    #expect(vocabularies?.code == .differentVocabularies)
    var chains = Self.controller()
    chains.target = {
      var target = ScriptedTarget(Self.script, timing: Self.timing)
      target.capabilities.drafts = .chains
      return target
    }
    let unsupported = await #expect(throws: ServingError.self) {
      try await ControllerHost.run(chains) { _ in }
    }
    #expect(unsupported?.code == .unsupportedEngine)
    try await ControllerHost.run(Self.controller()) { host in
      let taken = HostPort(host: "127.0.0.1", port: try await host.listener!.boundPort)
      let error = await #expect(throws: ServingError.self) {
        try await ControllerHost.run(Self.controller(listen: taken)) { _ in }
      }
      #expect(error?.code == .cannotListen && error?.description.contains("\(taken)") == true)
    }
  }

  /// A port for workers is never open to everybody because a file was forgotten.
  @Test(arguments: [
    (ControllerCredentials(joinTokens: "tokens"), "protect nothing without TLS"),
    (ControllerCredentials(workerAuthority: "ca.pem"), "protect nothing without TLS"),
    (ControllerCredentials(identity: ("cert.pem", "key.pem")), "nobody could attach"),
  ])
  func halfACredentialIsRefused(credentials: ControllerCredentials, message: String) {
    let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let error = #expect(throws: CredentialsError.self) { try credentials.security(log: log) }
    #expect(error?.message.contains(message) == true)
  }

  @Test func addressesAreRead() throws {
    #expect(try HostPort(parsing: "[::1]:7070") == HostPort(host: "::1", port: 7070))
    #expect(try HostPort(parsing: "worker.example:1").description == "worker.example:1")
    for text in ["7070", ":1", "a:b", "a:70000", "::1:7070", "a b:1", "[::1]7070"] {
      #expect(throws: HostPort.Invalid.self, "\(text)") { try HostPort(parsing: text) }
    }
  }
}
