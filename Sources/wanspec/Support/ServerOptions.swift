import ArgumentParser
import Credentials
import Foundation
import Gateway
import Logging

/// Where the HTTP API is served, to whom, and within which limits.
struct ServerOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Address of the HTTP API. (env: WANSPEC_HOST; default: 127.0.0.1)", valueName: "address"))
  var host: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Port of the HTTP API; 0 takes a free one. (env: WANSPEC_PORT; default: 8080)", valueName: "port"))
  var port: Int?

  @Option(
    help: ArgumentHelp(
      "Name that clients ask for. (env: WANSPEC_ALIAS; default: the target as it was named)",
      valueName: "name"))
  var alias: String?

  @Option(
    name: .customLong("api-key-file"),
    help: ArgumentHelp(
      "API keys that clients must show: a file of `wanspec keys`, or one key a line. Read again when it changes. (env: WANSPEC_API_KEY_FILE)",
      valueName: "file"))
  var apiKeyFile: String?

  @Option(
    name: .customLong("ssl-cert-file"),
    help: ArgumentHelp(
      "Certificate of the HTTP API, PEM, read again when it changes. (env: WANSPEC_SSL_CERT_FILE)",
      valueName: "file"))
  var certificate: String?

  @Option(
    name: .customLong("ssl-key-file"),
    help: ArgumentHelp("Its key, PEM. (env: WANSPEC_SSL_KEY_FILE)", valueName: "file"))
  var key: String?

  @Option(
    name: .customLong("cors-origin"),
    help: ArgumentHelp(
      "Web pages of this origin may call the API. (env: WANSPEC_CORS_ORIGIN)", valueName: "origin"))
  var origin: String?

  @Option(
    name: .customLong("max-body"), parsing: .unconditional,
    help: ArgumentHelp(
      "Bytes of a request at most. (env: WANSPEC_MAX_BODY; default: 4194304)", valueName: "bytes"))
  var maxBody: Int?

  @Option(
    name: .customLong("streams-per-key"), parsing: .unconditional,
    help: ArgumentHelp(
      "Answers that one API key may have under way. (env: WANSPEC_STREAMS_PER_KEY; default: 64)",
      valueName: "n"))
  var streamsPerKey: Int?

  @Option(
    name: .customLong("drain-timeout"), parsing: .unconditional,
    help: ArgumentHelp(
      "How long answers under way may take to finish after SIGTERM. (env: WANSPEC_DRAIN_TIMEOUT; default: 30s)",
      valueName: "duration"),
    transform: DurationArgument.init(parsing:))
  var drainTimeout: DurationArgument?

  @Flag(
    name: .customLong("log-prompts"), help: "Write prompts and answers to the log. (env: WANSPEC_LOG_PROMPTS)"
  )
  var logPrompts = false

  @Flag(name: .customLong("json-logs"), help: "Log one JSON object a line. (env: WANSPEC_JSON_LOGS)")
  var jsonLogs = false

  mutating func validate() throws {
    let twins = EnvironmentTwins()
    host = try twins("WANSPEC_HOST", host) ?? "127.0.0.1"
    port = try twins("WANSPEC_PORT", port) ?? 8080
    alias = try twins("WANSPEC_ALIAS", alias)
    apiKeyFile = try twins("WANSPEC_API_KEY_FILE", apiKeyFile)
    certificate = try twins("WANSPEC_SSL_CERT_FILE", certificate)
    key = try twins("WANSPEC_SSL_KEY_FILE", key)
    origin = try twins("WANSPEC_CORS_ORIGIN", origin)
    maxBody = try twins("WANSPEC_MAX_BODY", maxBody) ?? GatewayLimits().bodyBytes
    streamsPerKey = try twins("WANSPEC_STREAMS_PER_KEY", streamsPerKey) ?? GatewayLimits().streamsPerKey
    drainTimeout =
      try twins("WANSPEC_DRAIN_TIMEOUT", drainTimeout) ?? DurationArgument(nanoseconds: 30_000_000_000)
    logPrompts = try twins("WANSPEC_LOG_PROMPTS", logPrompts)
    jsonLogs = try twins("WANSPEC_JSON_LOGS", jsonLogs)
    if !(0...65_535).contains(port!) {
      throw ValidationError("--port must be between 0 and 65535, not \(port!).")
    }
    if (certificate == nil) != (key == nil) {
      throw ValidationError("--ssl-cert-file and --ssl-key-file belong together; give both.")
    }
    if !(1024...1 << 30).contains(maxBody!) {
      throw ValidationError("--max-body must be between 1024 and 1073741824 bytes, not \(maxBody!).")
    }
    if !(1...65_536).contains(streamsPerKey!) {
      throw ValidationError("--streams-per-key must be between 1 and 65536, not \(streamsPerKey!).")
    }
  }

  var log: Logger {
    jsonLogs
      ? Logger(label: "wanspec") { JSONLogHandler(label: $0) }
      : Logger(label: "wanspec") { StreamLogHandler.standardError(label: $0) }
  }

  /// Writes these settings into a gateway's configuration; reads keys and certificates.
  ///
  /// - Throws: `CommandFailure`
  func apply(to configuration: inout GatewayConfiguration, log: Logger) throws {
    configuration.host = host!
    configuration.port = port!
    configuration.allowedOrigin = origin
    configuration.logsPrompts = logPrompts
    configuration.drainTimeout = drainTimeout!.duration
    configuration.limits.bodyBytes = maxBody!
    configuration.limits.streamsPerKey = streamsPerKey!
    try reportingCredentials {
      if let apiKeyFile {
        if let exposure = CredentialFile.exposure(of: apiKeyFile) { log.warning("\(exposure)") }
        configuration.authenticator = APIKeys(file: try APIKeyFile(path: apiKeyFile, log: log))
      }
      if let certificate, let key {
        let tls = try ReloadingServerTLS(
          certificate: certificate, key: key, clients: .none, applicationProtocols: ["http/1.1"], log: log)
        configuration.tlsContext = { tls.context }
      }
    }
  }
}

/// API keys from a file, as the gateway asks for them.
private struct APIKeys: RequestAuthenticator {
  let file: APIKeyFile

  func identify(bearerToken: [UInt8]) async -> KeyIdentity? {
    guard let key = String(validating: bearerToken, as: UTF8.self) else { return nil }
    return file.name(of: key).map { KeyIdentity(name: $0) }
  }
}
