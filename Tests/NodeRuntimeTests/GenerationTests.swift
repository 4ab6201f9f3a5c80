import ModelBackend
import NodeRuntime
import Simulator
import SpeculationCore
import SpeculationTesting
import Testing

/// The actors over scripted engines: real tasks and time, in-process transport.
struct GenerationTests {
  let script = ScriptedModel(seed: 7, vocabularySize: 40, endProbability: 0.002, agreement: 0.85)
  let timing = ScriptedTiming(pass: .milliseconds(4))
  let prompt: [TokenID] = [3, 1, 4, 1, 5]

  struct Outcome {
    var tokens: [SessionMachine.CommittedToken] = []
    var summary: SessionSummary?
    var notes: [String] = []
  }

  func collect(_ stream: AsyncThrowingStream<GenerationEvent, any Error>) async throws -> Outcome {
    var outcome = Outcome()
    for try await event in stream {
      switch event {
      case .tokens(let tokens, _, _): outcome.tokens += tokens
      case .note(let note): outcome.notes.append(note)
      case .finished(let summary): outcome.summary = summary
      }
    }
    return outcome
  }

  func request(
    _ speculation: SpeculationSettings, maxTokens: Int = 60, sampling: SamplingSettings = .greedy
  ) -> GenerationRequest {
    GenerationRequest(prompt: prompt, sampling: sampling, maxTokens: maxTokens, speculation: speculation)
  }

  func plain(_ maxTokens: Int = 60, sampling: SamplingSettings = .greedy) -> [TokenID] {
    script.plain(prompt, sampling: sampling, maxTokens: maxTokens)
  }

  @Test(arguments: [
    ("plain", SpeculationSettings.plain), ("local sequential", .localSequential(length: 4)),
    ("local parallel", .localParallel()), ("wide area", .wideArea()),
    ("wide area, entropy", .wideArea(localPolicy: .entropy(threshold: 1))),
    ("wide area, always", .wideArea(localPolicy: .always)),
  ])
  func everyModeWritesThePlainText(name: String, speculation: SpeculationSettings) async throws {
    let transport = LocalTransport()
    let target = ScriptedTarget(script, timing: timing)
    let local = ScriptedDraft(script, timing: .init(pass: .milliseconds(1)))
    let node = ControllerNode(target: target, local: local, transport: transport)
    await transport.attach(
      WorkerID(1), to: node, draft: ScriptedDraft(script, timing: .init(pass: .milliseconds(1))),
      limits: LocalTransport.chain, delay: .milliseconds(3))
    // Passes last until there are guesses, however busy the machine is.
    let firstPasses = prompt.count + 20
    await target.duringPasses { _, requests in
      let root = requests[0].prefix.count - 1
      if speculation.usesWorkers {
        await transport.waitForGuesses(requests[0].session, below: root)
      } else if case .overlapped = speculation.localSchedule, speculation.localPolicy == .always,
        requests[0].draft.count == 0, root < firstPasses
      {
        // Nothing was guessed for this pass. Once a third one begins, two passes of drafting have been heard.
        let passes = await local.passes
        await LocalTransport.wait { await local.passes >= passes + 3 }
      }
    }
    for seed in 0..<3 as Range<UInt64> {
      let sampling = seed == 0 ? .greedy : SamplingSettings(temperature: 0.8, seed: seed)
      let outcome = try await collect(await node.generate(request(speculation, sampling: sampling)))
      #expect(outcome.tokens.map(\.token) == plain(sampling: sampling), "\(name), seed \(seed)")
      #expect(outcome.tokens.map(\.position) == Array(5..<5 + outcome.tokens.count))
      let summary = try #require(outcome.summary)
      #expect(summary.statistics.tokens == outcome.tokens.count)
      #expect(summary.timeToFirstToken != nil)
      let statistics = summary.statistics
      // A guess belongs to whoever made it first; beside a local draft model that may never be the worker.
      if case .never = speculation.localPolicy {
        #expect(statistics.localExpansions == 0)
        if speculation.usesWorkers { #expect(statistics.acceptedRemote > 0) }
      } else {
        #expect(statistics.acceptedRemote + statistics.acceptedLocal > 0)
      }
    }
    #expect(transport.disconnected.isEmpty)
  }

  @Test func speculationTakesFewerStepsThanPlain() async throws {
    let transport = LocalTransport()
    let target = ScriptedTarget(script, timing: timing)
    let node = ControllerNode(target: target, transport: transport)
    await transport.attach(
      WorkerID(1), to: node, draft: ScriptedDraft(script, timing: .init(pass: .microseconds(500))),
      limits: LocalTransport.chain, delay: .zero)
    await target.duringPasses { _, requests in
      await transport.waitForGuesses(requests[0].session, below: requests[0].prefix.count - 1)
    }
    let outcome = try await collect(await node.generate(request(.wideArea())))
    let statistics = try #require(outcome.summary).statistics
    #expect(statistics.tokensPerStep > 1.5, "\(statistics)")
    #expect(statistics.localExpansions == 0)
  }

  @Test func aVanishedWorkerChangesNothing() async throws {
    let transport = LocalTransport()
    let target = ScriptedTarget(script, timing: timing)
    let node = ControllerNode(target: target, transport: transport)
    await transport.attach(
      WorkerID(1), to: node, draft: ScriptedDraft(script, timing: .init(pass: .milliseconds(1))),
      limits: LocalTransport.chain, delay: .milliseconds(1))
    await target.duringPasses { pass, requests in
      if pass < 3 {
        await transport.waitForGuesses(requests[0].session, below: requests[0].prefix.count - 1)
      } else if pass == 3 {
        transport.vanish(WorkerID(1))
        await node.handle(.detached(WorkerID(1), reason: "killed"))
      }
    }
    let outcome = try await collect(await node.generate(request(.wideArea(), maxTokens: 80)))
    #expect(outcome.tokens.map(\.token) == plain(80))
    #expect(outcome.notes.contains { $0.contains("killed") })
    #expect(await node.attachedWorkers == 0)
  }

  @Test func aWorkerThatComesLateJoinsTheRunningSession() async throws {
    let transport = LocalTransport()
    let target = ScriptedTarget(script, timing: timing)
    let node = ControllerNode(target: target, transport: transport)
    let draft = ScriptedDraft(script, timing: .init(pass: .milliseconds(1)))
    await target.duringPasses { pass, requests in
      if pass == 6 {
        await transport.attach(
          WorkerID(2), to: node, draft: draft, limits: LocalTransport.chain, delay: .zero)
      }
      if pass >= 6 {
        await transport.waitForGuesses(requests[0].session, below: requests[0].prefix.count - 1)
      }
    }
    let outcome = try await collect(await node.generate(request(.wideArea(), maxTokens: 80)))
    #expect(outcome.tokens.map(\.token) == plain(80))
    #expect(try #require(outcome.summary).statistics.acceptedRemote > 0)
  }

  @Test func aHostileWorkerIsDisconnectedAndTheTextGoesOn() async throws {
    let transport = LocalTransport()
    let target = ScriptedTarget(script, timing: timing)
    let node = ControllerNode(target: target, transport: transport)
    await node.handle(.attached(WorkerID(9), WorkerPool.Profile(name: "liar")))
    let lie = Expansion(
      site: .node(77), firstChild: 1, distribution: Distribution(entropy: 1, candidates: []),
      knownPosition: 4)
    await target.duringPasses { pass, requests in
      if pass == 1 { await node.handle(.message(WorkerID(9), .expansion(requests[0].session, lie))) }
    }
    let outcome = try await collect(await node.generate(request(.wideArea())))
    #expect(outcome.tokens.map(\.token) == plain())
    #expect(transport.disconnected.map(\.0) == [WorkerID(9)])
    #expect(transport.disconnected.first?.1.contains("never announced") == true)
  }

  @Test func severalSessionsShareTheTarget() async throws {
    let target = ScriptedTarget(script, timing: timing)
    let node = ControllerNode(target: target)
    let (bothBegan, begin) = AsyncStream.makeStream(of: Void.self)
    await target.duringPasses { pass, _ in
      if pass == 0 { for await _ in bothBegan {} }
    }
    let streams = [await node.generate(request(.plain)), await node.generate(request(.plain))]
    begin.finish()
    async let first = collect(streams[0])
    async let second = collect(streams[1])
    let outcomes = try await [first, second]
    for outcome in outcomes { #expect(outcome.tokens.map(\.token) == plain()) }
    // The second session is one pass behind the first; all others they share.
    #expect(await target.passes == plain().count + 1)
  }

  @Test func endingTheIterationCancels() async throws {
    let node = ControllerNode(target: ScriptedTarget(script, timing: timing))
    for try await event in await node.generate(request(.plain, maxTokens: 1000)) {
      if case .tokens = event { break }
    }
    // The next generation is served: nothing is stuck behind the abandoned one.
    let outcome = try await collect(await node.generate(request(.plain)))
    #expect(outcome.tokens.map(\.token) == plain())
  }

  @Test func aFailedPassEndsTheGenerationWithItsReason() async throws {
    let node = ControllerNode(
      target: ScriptedTarget(script, timing: ScriptedTiming(pass: .milliseconds(1), failures: [5])))
    await #expect(throws: GenerationError.self) {
      _ = try await collect(await node.generate(request(.plain)))
    }
    let outcome = try await collect(await node.generate(request(.plain)))
    #expect(outcome.tokens.map(\.token) == plain())
  }

  @Test func aFailingLocalDraftOnlyCostsSpeed() async throws {
    let target = ScriptedTarget(script, timing: timing)
    let local = ScriptedDraft(script, timing: ScriptedTiming(pass: .milliseconds(1), failsFrom: 3))
    let node = ControllerNode(target: target, local: local)
    // The first pass lasts until the one that fails has begun.
    await target.duringPasses { pass, _ in
      if pass == 0 { await LocalTransport.wait { await local.passes > 3 } }
    }
    let outcome = try await collect(await node.generate(request(.localParallel())))
    #expect(outcome.tokens.map(\.token) == plain())
    #expect(outcome.notes.contains { $0.contains("drafting locally failed") })
  }

  @Test func badRequestsAreRefusedWithASentence() async throws {
    let node = ControllerNode(target: ScriptedTarget(script, contextLength: 64))
    func message(_ request: GenerationRequest) async -> String {
      do {
        _ = try await collect(await node.generate(request))
        return "accepted"
      } catch {
        return "\(error)"
      }
    }
    #expect(
      await message(GenerationRequest(prompt: [], maxTokens: 5, speculation: .plain)) == "the prompt is empty"
    )
    #expect(
      await message(
        GenerationRequest(prompt: Array(repeating: 1, count: 64), maxTokens: 5, speculation: .plain)
      ).contains("the context holds 64"))
    #expect(
      await message(GenerationRequest(prompt: [1, 99], maxTokens: 5, speculation: .plain)).contains(
        "token 99"))
    #expect(
      await message(GenerationRequest(prompt: [1], maxTokens: 0, speculation: .plain)).contains(
        "at least one"))
    var hot = SamplingSettings.greedy
    hot.topP = 3
    #expect(
      await message(GenerationRequest(prompt: [1], sampling: hot, maxTokens: 1, speculation: .plain))
        .contains("top-p"))
  }

  @Test func waitingForAWorkerEndsWithItsArrivalOrInTime() async throws {
    let node = ControllerNode(target: ScriptedTarget(script))
    #expect(await node.waitForWorker(timeout: .milliseconds(20)) == false)
    async let arrived = node.waitForWorker(timeout: .seconds(20))
    try await Task.sleep(for: .milliseconds(20))
    await node.handle(.attached(WorkerID(1), WorkerPool.Profile(name: "w")))
    #expect(await arrived)
  }
}
