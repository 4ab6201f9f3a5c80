import ModelBackend
import NodeRuntime
import Simulator
import SpeculationCore
import SpeculationTesting
import Testing

struct LogprobTests {
  let script = ScriptedModel(seed: 7, vocabularySize: 40, endProbability: 0.002, agreement: 0.85)

  /// With speculation, every token comes with the log-probabilities of its own choice.
  @Test(arguments: [SpeculationSettings.plain, .localSequential(length: 4), .localParallel()])
  func tokensComeWithTheirLogprobs(speculation: SpeculationSettings) async throws {
    let node = ControllerNode(target: ScriptedTarget(script), local: ScriptedDraft(script))
    let request = GenerationRequest(
      prompt: [3, 1, 4], maxTokens: 50, speculation: speculation, logprobs: 2)
    var count = 0
    for try await event in await node.generate(request) {
      guard case .tokens(let tokens, let logprobs, _) = event else { continue }
      #expect(
        logprobs == tokens.map { ScriptedTarget.logprobs(of: $0.token, margin: $0.margin) })
      count += tokens.count
    }
    #expect(count == 50)
  }

  @Test func tooManyAreRefused() async throws {
    let node = ControllerNode(target: ScriptedTarget(script))
    let request = GenerationRequest(prompt: [3], maxTokens: 5, speculation: .plain, logprobs: 1000)
    let error = await #expect(throws: GenerationError.self) {
      for try await _ in await node.generate(request) {}
    }
    #expect(error?.code == .invalidRequest && error?.description.contains("1000") == true)
  }
}
