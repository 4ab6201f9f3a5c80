import Foundation
import HTTPTypes
import Hummingbird
import Logging
import ModelBackend
import NIOCore
import NodeRuntime
import StrictJSON
import Synchronization

/// What a request brings along beside itself.
struct GatewayContext: InitializableFromSource, Sendable {
  let connection: ClientConnection

  init(source: ApplicationRequestContextSource) {
    connection = ClientConnection.current ?? ClientConnection()
  }
}

/// Answers requests: finds the route, lets in who may come in, writes errors, keeps the access log.
struct GatewayResponder: HTTPResponder {
  let service: GenerationService
  let configuration: GatewayConfiguration
  let metrics: GatewayMetrics
  let log: Logger
  private let pages: PageGuard?
  private let origins: CrossOrigin?

  init(
    service: GenerationService, configuration: GatewayConfiguration, metrics: GatewayMetrics, log: Logger
  ) {
    self.service = service
    self.configuration = configuration
    self.metrics = metrics
    self.log = log
    pages = PageGuard(configuration)
    origins = CrossOrigin(origin: configuration.allowedOrigin)
  }

  func respond(to request: Request, context: GatewayContext) async throws -> Response {
    let route = Route(path: request.uri.path)
    let record = RequestRecord(
      id: Self.requestID(of: request), method: Self.known(request.method), route: route?.name ?? "other",
      log: log, metrics: metrics)
    var response: Response
    let unknown = configuration.isStrictAboutFields ? nil : UnknownFields()
    do {
      response = try await UnknownFields.$current.withValue(unknown) {
        try await answer(request, route: route, context: context, record: record)
      }
    } catch is ClientGone {
      record.clientWentAway()
      // Nobody reads it; the number is what proxies log for it.
      response = Response(
        status: .init(code: 499, reasonPhrase: "Client Closed Request"), headers: [.connection: "close"])
    } catch {
      let error = APIError(error)
      if error.status.code >= 500, error.code != APIError.draining.code {
        log.error("request failed", metadata: ["request": "\(record.id)", "error": "\(error.message)"])
      }
      response = error.response
    }
    response.headers[Self.requestIDHeader] = record.id
    if let unknown { tell(unknown, &response, record) }
    origins?.allow(&response)
    if request.method == .head { response = response.createHeadResponse() }
    // A stream finishes its record itself.
    if response.body.contentLength != nil { record.finish(status: response.status.code) }
    return response
  }

  static let requestIDHeader = HTTPField.Name("x-request-id")!
  private static let ignoredFieldsHeader = HTTPField.Name("x-wanspec-ignored-fields")!

  private func tell(_ unknown: UnknownFields, _ response: inout Response, _ record: RequestRecord) {
    guard let names = unknown.header else { return }
    response.headers[Self.ignoredFieldsHeader] = names
    metrics.ignoredFields(unknown.count, route: record.route)
    record.ignored(fields: names)
  }

  /// Methods have their own label in the metrics, so there must be few.
  private static func known(_ method: HTTPRequest.Method) -> String {
    let common: [HTTPRequest.Method] = [.get, .post, .head, .options, .put, .delete, .patch]
    return common.contains(method) ? method.rawValue : "other"
  }

  /// The client's own, if it is harmless, or a new one.
  private static func requestID(of request: Request) -> String {
    if let given = request.headers[requestIDHeader], (1...64).contains(given.utf8.count),
      given.utf8.allSatisfy({ byte in
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
          || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
      })
    {
      return given
    }
    return "req-" + RandomName.make()
  }

  private func answer(
    _ request: Request, route: Route?, context: GatewayContext, record: RequestRecord
  ) async throws -> Response {
    if route?.isHealth != true { try pages?.check(request.head) }
    if request.method == .options, let origins { return origins.preflight(request.head) }
    guard let route else {
      throw APIError(
        .notFound,
        "there is nothing at \(request.uri.path.prefix(200)); this server has "
          + Route.paths.joined(separator: ", "), code: "not_found")
    }
    guard route.methods.contains(request.method) else {
      let allowed = route.methods.map(\.rawValue).joined(separator: ", ")
      var error = APIError(
        .methodNotAllowed, "\(route.name) takes \(allowed), not \(request.method.rawValue.prefix(32))",
        code: "method_not_allowed")
      error.allow = allowed
      throw error
    }
    let key = try await authenticate(request, for: route)
    if let key { record.authenticated(as: key.name) }
    switch route {
    case .ready: return await health(requiresReadiness: true)
    case .live: return await health(requiresReadiness: false)
    case .metrics:
      let text = metrics.render(await service.node.status())
      return Response(
        status: .ok, headers: [.contentType: PrometheusText.contentType],
        body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    case .models: return json(service.modelList())
    case .model(let name): return json(try service.model(named: name))
    case .tokenize:
      return json(
        try await service.tokenize(
          try await body(of: request, for: context.connection), connection: context.connection))
    case .detokenize:
      return json(
        try await service.detokenize(
          try await body(of: request, for: context.connection), connection: context.connection))
    case .applyTemplate:
      return json(
        try await service.applyTemplate(
          try await body(of: request, for: context.connection), connection: context.connection))
    case .embeddings:
      throw APIError(
        .notImplemented,
        "this server writes text and computes no embeddings: ask a server of an embedding model",
        code: "not_supported")
    case .chat:
      if service.isDraining { throw APIError.draining }
      return try await service.chat(
        try await body(of: request, for: context.connection), key: key, connection: context.connection,
        record: record)
    case .completions:
      if service.isDraining { throw APIError.draining }
      return try await service.completions(
        try await body(of: request, for: context.connection), key: key, connection: context.connection,
        record: record)
    }
  }

  private func authenticate(_ request: Request, for route: Route) async throws -> KeyIdentity? {
    guard let authenticator = configuration.authenticator, !route.isHealth else { return nil }
    if case .metrics = route, !configuration.protectsMetrics { return nil }
    let header = request.headers[.authorization] ?? ""
    let prefix = "bearer "
    guard header.lowercased().hasPrefix(prefix) else {
      throw APIError(
        .unauthorized, "an API key is needed: send it as the header Authorization: Bearer KEY",
        code: "missing_api_key")
    }
    let token = Array(header.utf8.dropFirst(prefix.utf8.count))
    guard let identity = await authenticator.identify(bearerToken: token) else {
      throw APIError(.unauthorized, "the API key is not valid", code: "invalid_api_key")
    }
    return identity
  }

  private func health(requiresReadiness: Bool) async -> Response {
    let status = await service.node.status()
    var problem: String?
    if let failure = status.engineFailure {
      problem = "the engine failed: \(failure)"
    } else if requiresReadiness, service.isDraining || !status.isAccepting {
      problem = "shutting down"
    } else if requiresReadiness, configuration.failsAfterWrongAudit, metrics.wrongAudits > 0 {
      problem = "an audit found a text that the target alone would not have written"
    }
    var json = JSONWriter()
    json.object { json in
      json.member("status", problem == nil ? "ok" : "unavailable")
      if let problem { json.member("reason", problem) }
    }
    return self.json(json.bytes, status: problem == nil ? .ok : .serviceUnavailable)
  }

  private func json(_ bytes: [UInt8], status: HTTPResponse.Status = .ok) -> Response {
    Response(
      status: status, headers: [.contentType: "application/json"],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
  }
}

/// The client went away before its answer was complete.
package struct ClientGone: Error {}

/// Short random names for requests and responses.
enum RandomName {
  private static let letters = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)

  static func make() -> String {
    String(decoding: (0..<24).map { _ in letters.randomElement()! }, as: UTF8.self)
  }
}
