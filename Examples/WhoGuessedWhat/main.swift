// One generation with a draft model beside the target, and who guessed each token of it.
//
//   dev/bootstrap && eval "$(dev/env)"
//   swift run -c release example-generate TARGET.gguf DRAFT.gguf "Once upon a time"

import Foundation
import LlamaBackend
import ModelBackend
import NodeRuntime
import Serving

let arguments = CommandLine.arguments
guard arguments.count == 4 else {
  print("usage: example-generate TARGET.gguf DRAFT.gguf PROMPT")
  exit(64)
}

let settings = ControllerHost.Settings(
  target: { try await LlamaEngine.load(path: arguments[1]) },
  local: { try await LlamaEngine.load(path: arguments[2]) })

try await ControllerHost.run(settings) { host in
  let prompt = try host.target.tokenizer.encode(arguments[3], addSpecial: true, parseSpecial: false)
  let request = GenerationRequest(
    prompt: prompt, maxTokens: 48,
    speculation: SpeculationByHand().settings(for: .localSequential, hasLocal: true))
  var text = TextStream(host.target.tokenizer)
  for try await event in await host.node.generate(request) {
    switch event {
    case .tokens(let tokens, _, _):
      for token in tokens { print("\(token.origin)", text.append(token.token), separator: "\t") }
    case .note(let note): print("note: \(note)")
    case .finished(let summary):
      print("\(summary.statistics.tokensPerStep) tokens a pass, \(summary.reason)")
    }
  }
}
