import Logging
import ModelBackend
import SpeculationCore

/// Where decisions become actions of engines, workers and streams.
extension ControllerNode {
  func perform(_ actions: [ServingMachine.Action]) {
    for action in actions {
      switch action {
      case .verify(let pass): verify(pass)
      case .draftLocally(let tasks): draftLocally(tasks)
      case .release(let id): release(id)
      case .send(let message, let worker): transport?.send(message, to: worker)
      case .disconnect(let worker, let name, let reason): disconnect(worker, name: name, reason: reason)
      case .refuse(let id, let refusal): refuse(id, refusal)
      case .admitted(let id, let queued):
        observer?.observe(.admitted(id, at: MonotonicClock.now(), queued: queued))
      case .emit(let id, let tokens, let progress): emit(tokens, progress, for: id)
      case .note(let id, let note): outputs[id]?.events.yield(.note(note.description))
      case .placed(let id, let worker):
        observer?.observe(.placed(id, on: worker, at: MonotonicClock.now()))
      case .displaced(let id, let worker):
        observer?.observe(.displaced(id, from: worker, at: MonotonicClock.now()))
      case .audit(let action): perform(action)
      case .finish(let id, let summary): finish(id, summary)
      }
    }
  }

  // MARK: Streams

  private func emit(
    _ tokens: [SessionMachine.CommittedToken], _ progress: SessionProgress, for id: SessionID
  ) {
    guard outputs[id] != nil else { return }
    observer?.observe(.committed(id, at: MonotonicClock.now(), tokens: tokens))
    let logprobs = Array(outputs[id]!.newLogprobs.prefix(tokens.count))
    outputs[id]!.newLogprobs = []
    outputs[id]!.events.yield(.tokens(tokens, logprobs: logprobs, progress))
  }

  private func refuse(_ id: SessionID, _ refusal: Refusal) {
    outputs.removeValue(forKey: id)?.events.finish(throwing: GenerationError(refusal))
  }

  private func finish(_ id: SessionID, _ summary: SessionSummary) {
    guard outputs[id] != nil else { return }
    observer?.observe(.finished(id, at: MonotonicClock.now(), summary))
    if case .failed(let why) = summary.reason {
      log.error("generation failed", metadata: ["session": "\(id)", "error": "\(why)"])
    }
    outputs[id]!.summary = summary
    if !releasing.contains(id) { end(id) }
  }

  /// Says the last word. Only when the cells are free: whoever starts the next generation on seeing it finds them so.
  private func end(_ id: SessionID) {
    guard let summary = outputs[id]?.summary, let output = outputs.removeValue(forKey: id) else { return }
    if case .failed(let why) = summary.reason {
      output.events.finish(throwing: GenerationError(.engineFailed, why))
    } else {
      output.events.yield(.finished(summary))
      output.events.finish()
    }
  }

  // MARK: The target

  private func verify(_ pass: TargetPass) {
    let requests = pass.parts.map { part in
      VerificationRequest(
        session: part.session, prefix: part.prefix,
        draft: DraftTree(tokens: part.set.tokens, parents: part.set.parents),
        sampling: outputs[part.session]?.sampling ?? .greedy, grammar: outputs[part.session]?.grammar,
        logprobs: outputs[part.session]?.logprobs)
    }
    targetQueue.enqueue(for: self) { [target] in
      await Result { try await target.verify(requests, prefillBudget: pass.prefillBudget) }
    } answered: { node, result in
      switch result {
      case .success(let pass): node.passEnded(requests, pass)
      case .failure(let error): node.passFailed(error)
      }
    }
  }

  private func passEnded(_ requests: [VerificationRequest], _ pass: PassResult<VerificationResult>) {
    observer?.observe(
      .targetPass(
        NodeEvent.TargetPass(
          ended: MonotonicClock.now(), duration: pass.duration, tokens: pass.tokens,
          sessions: requests.map { ($0.session, $0.draft.count) })))
    var parts: [PassReport.Part] = []
    parts.reserveCapacity(requests.count)
    for (request, result) in zip(requests, pass.results) {
      parts.append(
        PassReport.Part(
          verdicts: result.choices.map { SessionMachine.Verdict(token: $0.token, margin: $0.margin) },
          reusedPrefix: result.reusedPrefix))
      if request.logprobs != nil, !result.choices.isEmpty {
        outputs[request.session]?.newLogprobs = CommittedLogprobs.along(result.choices, of: request.draft)
      }
    }
    tell(.passEnded(PassReport(parts: parts, duration: pass.duration, tokens: pass.tokens)))
  }

  private func passFailed(_ error: any Error) {
    log.warning("target pass failed", metadata: ["error": "\(error)"])
    let isFull = (error as? ModelError)?.code == .contextFull
    tell(.passFailed(PassFailure(isFull ? .cacheFull : .engine, reason: "\(error)")))
  }

  private func release(_ id: SessionID) {
    releasing.insert(id)
    targetQueue.enqueue(for: self) { [target] in
      await target.release(id)
    } answered: { node, _ in
      node.released(id)
    }
    guard let local else { return }
    localQueue.enqueue(for: self) {
      await local.release(id)
    } answered: { _, _ in
    }
  }

  private func released(_ id: SessionID) {
    releasing.remove(id)
    end(id)
    tell(.released(id))
  }

  // MARK: Drafting locally

  private func draftLocally(_ tasks: [DraftTask<SessionMachine.NodeID>]) {
    guard let local else { preconditionFailure("drafting locally without a draft model") }
    let requests = tasks.map(ExpansionRequest.init)
    localQueue.enqueue(for: self) {
      await Result { try await local.expand(requests) }
    } answered: { node, result in
      switch result {
      case .success(let pass): node.localPassEnded(requests.map(\.session), pass)
      case .failure(let error): node.localPassFailed(error)
      }
    }
  }

  private func localPassEnded(_ sessions: [SessionID], _ pass: PassResult<Distribution>) {
    var counts: [(session: SessionID, nodes: Int)] = []
    for id in sessions {
      if counts.last?.session == id {
        counts[counts.count - 1].nodes += 1
      } else {
        counts.append((id, 1))
      }
    }
    observer?.observe(
      .localDraftPass(ended: MonotonicClock.now(), duration: pass.duration, sessions: counts))
    tell(.localPassEnded(pass.results, duration: pass.duration, passTokens: pass.tokens))
  }

  private func localPassFailed(_ error: any Error) {
    log.warning("drafting locally failed; going on without", metadata: ["error": "\(error)"])
    tell(.localPassFailed(reason: "\(error)"))
  }
}

extension Result where Failure == any Error {
  init(_ body: @Sendable () async throws -> Success) async {
    do { self = .success(try await body()) } catch { self = .failure(error) }
  }
}

extension ExpansionRequest {
  init<Node>(_ task: DraftTask<Node>) {
    self.init(
      session: task.sequence, prefix: task.prefix, path: task.path, sampling: task.sampling,
      candidates: task.candidates, skipped: task.skipped)
  }
}
