/// `--print-config`.
extension ServeCommand {
  /// A configuration file that says what holds, each line with where it came from.
  var effectiveSettings: String {
    let sources = EnvironmentTwins.askedFor
    var text = ""
    func add(_ key: String, _ value: (some CustomStringConvertible)?, without fallback: String? = nil) {
      let source = sources[key] ?? .fallback
      let origin = value == nil && fallback != nil && source == .fallback ? fallback! : source.rawValue
      // What is not given is shown, but commented out: there is no value that would mean the same.
      let shown = value.map { "\(key): \(Self.scalar($0.description))" } ?? "# \(key):"
      text += shown + String(repeating: " ", count: max(1, 48 - shown.count)) + "# \(origin)\n"
    }
    add("target", target)
    add("draft", draft)
    add("host", server.host)
    add("port", server.port)
    add("alias", server.alias)
    add("api-key-file", server.apiKeyFile)
    add("ssl-cert-file", server.certificate)
    add("ssl-key-file", server.key)
    add("cors-origin", server.origin)
    add("max-body", server.maxBody)
    add("streams-per-key", server.streamsPerKey)
    add("drain-timeout", server.drainTimeout?.text)
    add("log-prompts", server.logPrompts)
    add("json-logs", server.jsonLogs)
    add("listen", listen)
    add("workers-per-session", workersPerSession)
    add("worker-timeout", workerTimeout?.text)
    add("certs", security.certs)
    add("tls-cert", security.certificate)
    add("tls-key", security.key)
    add("worker-ca", security.workerAuthority)
    add("worker-allow", security.allowedWorkers)
    add("join-tokens", security.joinTokens)
    add("insecure", security.insecure)
    add("speculation", speculation?.rawValue)
    add("policy", speculating.policy)
    add("draft-length", speculating.draftLength)
    let chooser = speculating.choosing.autopilot ? "the autopilot" : nil
    add("verify-width", speculating.verifyWidth, without: chooser)
    add("lookup", speculating.lookup, without: chooser)
    add("min-gain", speculating.minGain, without: chooser)
    add("autopilot", speculating.choosing.autopilot)
    add("sessions", sessions)
    add("max-queue", maxQueue)
    add("cache-tokens", cacheTokens)
    add("prefill-chunk", prefillChunk)
    add("cpus", cores.cpus)
    add("draft-cpus", cores.draftCPUs)
    add("context", engine.context)
    add("threads", engine.threads)
    add("gpu-layers", engine.gpuLayers)
    add("cache-type", (engine.cacheType ?? .f16).rawValue)
    return text
  }

  private static func scalar(_ text: String) -> String {
    let isPlain = text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "._/-:".contains($0)) }
    return isPlain && !text.isEmpty && !text.hasPrefix("-") && !text.hasSuffix(":")
      ? text : "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
  }
}
