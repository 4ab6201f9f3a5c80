import ArgumentParser
import CommandSettings
import Console
import Credentials
import Foundation
import Gateway
import Logging

/// Where the HTTP API is served, to whom, and within which limits.
struct ServerOptions: ParsableArguments {
  @Option(Settings.host) var host: String?

  @Option(Settings.port) var port: Int?

  @Option(Settings.alias) var alias: String?

  @Option(Settings.apiKeyFile) var apiKeyFile: String?

  @Option(Settings.sslCertificate) var certificate: String?

  @Option(Settings.sslKey) var key: String?

  @Option(Settings.corsOrigin) var origin: String?

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
    certificate = try Settings.sslCertificate.resolve(certificate)
    key = try Settings.sslKey.resolve(key)
    origin = try Settings.corsOrigin.resolve(origin)
    maxBody = try Settings.maxBody.resolve(maxBody)
    streamsPerKey = try Settings.streamsPerKey.resolve(streamsPerKey)
    drainTimeout = try Settings.answersDrainTimeout.resolve(drainTimeout)
    logPrompts = try Settings.logPrompts.resolve(logPrompts)
    jsonLogs = try Settings.jsonLogs.resolve(jsonLogs)
    if (certificate == nil) != (key == nil) {
      throw ValidationError("--ssl-cert-file and --ssl-key-file belong together; give both.")
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
