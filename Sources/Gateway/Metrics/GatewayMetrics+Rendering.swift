import NodeRuntime
import SpeculationCore

extension GatewayMetrics {
  /// Everything as Prometheus reads it.
  package func render(_ status: NodeStatus) -> String {
    let node = node.withLock { $0 }
    let http = http.withLock { $0 }
    var page = PrometheusText()
    let model: PrometheusText.Labels = [("model_name", modelName)]
    renderRequests(node, http, status, model, &page)
    renderSpeculation(node, model, &page)
    renderWorkers(node, status, &page)
    renderHTTP(http, &page)
    return page.text
  }

  /// vLLM's names where the meaning is vLLM's.
  private func renderRequests(
    _ node: NodeState, _ http: HTTPState, _ status: NodeStatus, _ model: PrometheusText.Labels,
    _ page: inout PrometheusText
  ) {
    page.gauge(
      "vllm:num_requests_running", "Requests that the engine works on.", [(model, Double(status.running))])
    page.gauge("vllm:num_requests_waiting", "Requests in the queue.", [(model, Double(status.waiting))])
    let usage =
      status.cacheCapacity > 0 ? Double(status.cacheTokens) / Double(status.cacheCapacity) : 0
    page.gauge(
      "vllm:kv_cache_usage_perc", "Share of the KV cache that is claimed; 1 is all of it.", [(model, usage)])
    page.counter("vllm:prompt_tokens_total", "Tokens of prompts.", [(model, Double(node.promptTokens))])
    page.counter(
      "vllm:generation_tokens_total", "Generated tokens.",
      [(model, Double(node.committed.values.reduce(0, +)))])
    page.counter(
      "vllm:request_success_total", "Choices that ended, by reason.",
      http.finished.sorted { $0.key < $1.key }.map {
        (model + [("finished_reason", $0.key)], Double($0.value))
      })
    page.histogram(
      "vllm:time_to_first_token_seconds", "From a request to its first token.", [(model, node.firstToken)])
    page.histogram(
      "vllm:inter_token_latency_seconds", "From one step that commits tokens to the session's next.",
      [(model, node.interToken)])
    page.histogram(
      "vllm:time_per_output_token_seconds", "Mean of a request from its first token to its last.",
      [(model, node.timePerToken)])
    page.histogram(
      "vllm:e2e_request_latency_seconds", "From a request to its end.", [(model, node.requestTime)])
    page.histogram(
      "vllm:request_queue_time_seconds", "Time that a request waited in the queue.", [(model, node.queueTime)]
    )
  }

  private func renderSpeculation(
    _ node: NodeState, _ model: PrometheusText.Labels, _ page: inout PrometheusText
  ) {
    page.counter(
      "vllm:spec_decode_num_drafts_total", "Verifications of at least one guess.",
      [(model, Double(node.drafts))])
    page.counter(
      "vllm:spec_decode_num_draft_tokens_total", "Guesses that were verified.",
      [(model, Double(node.draftTokens))])
    page.counter(
      "vllm:spec_decode_num_accepted_tokens_total", "Guesses that were right.",
      [(model, Double(node.accepted))])
    page.counter(
      "vllm:spec_decode_num_accepted_tokens_per_pos_total",
      "Guesses that were right, by their place in the step.",
      node.acceptedAt.enumerated().map { (model + [("position", String($0))], Double($1)) })
    let origins: [(SessionMachine.Origin, String)] = [
      (.remote, "worker"), (.local, "local"), (.lookup, "lookup"), (.target, "target"),
    ]
    page.counter(
      "wanspec_committed_tokens_total", "Generated tokens by who guessed them first.",
      origins.map { (model + [("origin", $1)], Double(node.committed[$0] ?? 0)) })
    page.counter(
      "wanspec_target_steps_total", "Verifications of sessions that ended.",
      [(model, Double(node.ended.steps))])
    page.counter(
      "wanspec_bubbles_total",
      "Of those, the ones that began without guesses though guesses were wanted: the worker was too late.",
      [(model, Double(node.ended.bubbles))])
    page.counter(
      "wanspec_paused_steps_total", "Of those, the ones while nobody drafted because guesses did not pay.",
      [(model, Double(node.ended.pausedSteps))])
    // "home" is the name of an earlier version.
    for (name, note) in [("local", ""), ("home", " Old name of wanspec_local_draft.")] {
      page.counter(
        "wanspec_\(name)_draft_passes_total", "Passes of the controller's own draft model.\(note)",
        [(model, Double(node.localPasses))])
      page.counter(
        "wanspec_\(name)_draft_nodes_total",
        "Nodes that the controller's own draft model expanded.\(note)", [(model, Double(node.localNodes))])
    }
    renderExpansions(node, model, &page)
    renderAudits(node, model, &page)
    page.histogram(
      "wanspec_target_pass_seconds", "What the engine computed for one target pass.",
      [(model, node.passTime)])
    page.histogram(
      "wanspec_target_pass_tokens", "Tokens of one target pass, prompts included.",
      [(model, node.passTokens)])
    page.histogram(
      "wanspec_target_pass_sessions", "Sessions of one target pass.", [(model, node.passSessions)])
  }

  private func renderAudits(
    _ node: NodeState, _ model: PrometheusText.Labels, _ page: inout PrometheusText
  ) {
    let outcomes = [
      ("same", node.auditsSame), ("different", Int(node.auditMargins.count)),
      ("skipped", node.auditsSkipped),
    ]
    page.counter(
      "wanspec_audits_total", "Answers that the target was to decide once more, alone, by what it found.",
      outcomes.map { (model + [("outcome", $0)], Double($1)) })
    page.counter(
      "wanspec_audits_wrong_total", "Of those with another text, the ones that no rounding explains.",
      [(model, Double(node.auditsWrong))])
    page.histogram(
      "wanspec_audit_margin", "By how much the target's own choice won where the text was another.",
      [(model, node.auditMargins)])
  }

  private func renderExpansions(
    _ node: NodeState, _ model: PrometheusText.Labels, _ page: inout PrometheusText
  ) {
    page.counter(
      "wanspec_worker_expansions_total", "Expansions that workers sent.", [(model, Double(node.expansions))])
    let ended = node.ended
    page.counter(
      "wanspec_wasted_expansions_total",
      "Expansions of sessions that ended of which no child was ever verified.",
      [(model, Double(max(0, ended.workerExpansions - ended.usedWorkerExpansions)))])
    page.counter(
      "wanspec_late_expansions_total", "Expansions of sessions that ended that came too late.",
      [(model, Double(ended.lateExpansions))])
    page.counter(
      "wanspec_dropped_expansions_total", "Expansions of sessions that ended that found no room.",
      [(model, Double(ended.droppedExpansions))])
  }

  private func renderWorkers(_ node: NodeState, _ status: NodeStatus, _ page: inout PrometheusText) {
    page.gauge("wanspec_workers", "Workers that are attached.", [([], Double(status.workers.count))])
    page.counter(
      "wanspec_workers_attached_total", "Times that a worker attached.", [([], Double(node.workersAttached))])
    page.counter(
      "wanspec_workers_detached_total", "Times that a worker left or was lost.",
      [([], Double(node.workersDetached))])
    page.counter(
      "wanspec_placements_total", "Times that a session was given to a worker.",
      [([], Double(node.placements))])
    page.counter(
      "wanspec_displacements_total", "Times that a session was taken from a worker.",
      [([], Double(node.displacements))])
    // The number tells workers of one name apart.
    let workers = status.workers.map { worker -> (PrometheusText.Labels, NodeStatus.WorkerStatus) in
      (
        [
          ("worker", worker.known.profile.name), ("site", worker.known.profile.site),
          ("id", "\(worker.id.rawValue)"),
        ], worker
      )
    }
    func each(_ value: (NodeStatus.WorkerStatus) -> Double?) -> [(PrometheusText.Labels, Double)] {
      workers.compactMap { labels, worker in value(worker).map { (labels, $0) } }
    }
    page.gauge(
      "wanspec_worker_round_trip_seconds", "Smoothed round-trip time.", each { $0.known.roundTrip?.inSeconds }
    )
    page.gauge(
      "wanspec_worker_score", "1 for a worker whose expansions help, towards 0 where they never do.",
      each { $0.known.score })
    // Its name until version 0.1; goes with the next one.
    page.gauge("wanspec_worker_standing", "The same as wanspec_worker_score.", each { $0.known.score })
    page.gauge(
      "wanspec_worker_sessions", "Sessions placed on the worker.", each { Double($0.known.sessions) })
    page.gauge(
      "wanspec_worker_capacity", "Sessions that the worker takes.", each { Double($0.known.profile.capacity) }
    )
    page.gauge(
      "wanspec_worker_draining", "1 while the worker takes leave.", each { $0.known.isDraining ? 1 : 0 })
    page.counter(
      "wanspec_worker_received_expansions_total", "Expansions of this worker.",
      each { Double($0.known.tally.expansions) }
    )
    page.counter(
      "wanspec_worker_foreseen_tokens_total", "Committed tokens that this worker had named before.",
      each { Double($0.known.tally.foreseen) })
    page.counter(
      "wanspec_worker_late_expansions_total", "Of the expansions, the ones that came too late.",
      each { Double($0.known.tally.late) })
    page.counter(
      "wanspec_wan_received_bytes_total", "TCP payload from the worker.", each { Double($0.bytesReceived) })
    page.counter("wanspec_wan_sent_bytes_total", "TCP payload to the worker.", each { Double($0.bytesSent) })
  }

  private func renderHTTP(_ http: HTTPState, _ page: inout PrometheusText) {
    page.gauge("wanspec_http_connections", "Connections that are open.", [([], Double(http.connections))])
    page.counter(
      "wanspec_http_connections_total", "Connections that were accepted.",
      [([], Double(http.connectionsTotal))])
    page.counter(
      "wanspec_accept_failures_total",
      "Attempts to accept a connection that failed, by port, usually for want of file descriptors.",
      Listener.allCases.map { ([("listener", $0.rawValue)], Double(http.acceptFailures[$0] ?? 0)) })
    page.counter(
      "wanspec_http_requests_total", "Requests by route and status.",
      http.answers.sorted {
        ($0.key.route, $0.key.method, $0.key.status) < ($1.key.route, $1.key.method, $1.key.status)
      }.map { answer, count in
        (
          [("route", answer.route), ("method", answer.method), ("status", String(answer.status))],
          Double(count)
        )
      })
    page.counter(
      "wanspec_http_ignored_fields_total", "Fields of requests that nobody knows, which were passed over.",
      http.ignoredFields.sorted { $0.key < $1.key }.map { ([("route", $0.key)], Double($0.value)) })
    page.histogram(
      "wanspec_http_request_seconds", "From a request's header to the end of its answer.",
      http.time.sorted { $0.key < $1.key }.map { ([("route", $0.key)], $0.value) })
  }
}
