// A server in forty lines: OpenAI's API in front of a target, and a worker that drafts for it.
//
//   dev/bootstrap && eval "$(dev/env)"
//   swift run -c release example-serve TARGET.gguf DRAFT.gguf 8080
//   curl localhost:8080/v1/completions -H 'Content-Type: application/json' \
//     -d '{"prompt": "Once upon a time", "max_tokens": 32}'
//
// The worker lives in this process to keep the example short. Anywhere else it is the same call, with the address of
// this machine and `security` for the way there (docs/security.md).

import Foundation
import LlamaBackend
import Serving
import UnixSignals

let arguments = CommandLine.arguments
guard arguments.count == 4, let port = Int(arguments[3]) else {
  print("usage: example-serve TARGET.gguf DRAFT.gguf PORT")
  exit(64)
}

@Sendable func say(_ text: String) {
  print(text)
  fflush(nil)
}

var settings = ModelServer.Settings(
  name: "example",
  controller: ControllerHost.Settings(
    target: { try await LlamaEngine.load(path: arguments[1], options: LlamaOptions(sessions: 4)) },
    listen: HostPort(host: "127.0.0.1", port: 0)))
settings.gateway.port = port

// Ends the server, and with it the worker, in order.
let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
let signal = Task { for await _ in signals { return } }
@Sendable func stopped() async {
  await withTaskCancellationHandler {
    await signal.value
  } onCancel: {
    signal.cancel()
  }
}

try await ModelServer.run(
  settings,
  ready: { _, port, workerPort in
    say("serving on http://127.0.0.1:\(port), workers on port \(workerPort!)")
    Task {
      let draft = try await LlamaEngine.load(path: arguments[2])
      let controller = HostPort(host: "127.0.0.1", port: workerPort!)
      _ = try await WorkerHost.run(
        WorkerHost.Settings(controllers: [controller], name: "beside"), draft: draft,
        until: stopped,
        report: { if case .connected = $0 { say("a worker drafts") } })
    }
  },
  until: stopped)
