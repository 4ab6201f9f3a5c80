import ArgumentParser
import CommandSettings
import Console
import Foundation
import Gateway
import Logging
import Serving

/// Where the HTTP API is served, to whom, and within which limits.
struct ServerOptions: ParsableArguments {
  @Option(Settings.host) var host: String?

  @Option(Settings.port) var port: Int?

  @Option(Settings.alias) var alias: String?

  @Option(Settings.apiKeyFile) var apiKeyFile: String?

  @Flag(Settings.noAuth) var noAuth = false

  @Option(Settings.sslCertificate) var certificate: String?

  @Option(Settings.sslKey) var key: String?

  @Option(Settings.corsOrigin) var origin: String?

  @Flag(Settings.strictFields) var strictFields = false

  @Option(Settings.maxBody) var maxBody: Int?

  @Option(Settings.streamsPerKey) var streamsPerKey: Int?

  @Option(Settings.answersDrainTimeout) var drainTimeout: DurationArgument?

  @Flag(Settings.logPrompts) var logPrompts = false

  @Flag(Settings.jsonLogs) var jsonLogs = false

  mutating func validate() throws {
    host = try Settings.host.resolve(host)
    port = try Settings.port.resolve(port)
    alias = try Settings.alias.resolve(alias)
    apiKeyFile = try Settings.apiKeyFile.resolve(apiKeyFile)
    noAuth = try Settings.noAuth.resolve(noAuth)
    certificate = try Settings.sslCertificate.resolve(certificate)
    key = try Settings.sslKey.resolve(key)
    origin = try Settings.corsOrigin.resolve(origin)
    strictFields = try Settings.strictFields.resolve(strictFields)
    maxBody = try Settings.maxBody.resolve(maxBody)
    streamsPerKey = try Settings.streamsPerKey.resolve(streamsPerKey)
    drainTimeout = try Settings.answersDrainTimeout.resolve(drainTimeout)
    logPrompts = try Settings.logPrompts.resolve(logPrompts)
    jsonLogs = try Settings.jsonLogs.resolve(jsonLogs)
    if (certificate == nil) != (key == nil) {
      throw ValidationError("--ssl-cert-file and --ssl-key-file belong together; give both.")
    }
    if let problem = credentials.problem(listeningOn: HostPort(host: host!, port: port!)) {
      throw ValidationError(problem)
    }
  }

  var log: Logger { .standardError(json: jsonLogs) }

  /// Writes these settings into a gateway's configuration; reads keys and certificates.
  ///
  /// - Throws: `CommandFailure`
  func apply(to configuration: inout GatewayConfiguration, log: Logger) throws {
    configuration.host = host!
    configuration.port = port!
    configuration.allowedOrigin = origin
    configuration.isStrictAboutFields = strictFields
    configuration.logsPrompts = logPrompts
    configuration.drainTimeout = drainTimeout!.duration
    configuration.limits.bodyBytes = maxBody!
    configuration.limits.streamsPerKey = streamsPerKey!
    try reportingCredentials { try credentials.apply(to: &configuration, log: log) }
  }

  private var credentials: APICredentials {
    APICredentials(
      keys: apiKeyFile, identity: certificate.flatMap { certificate in key.map { (certificate, $0) } },
      allowsAnyone: noAuth)
  }
}
