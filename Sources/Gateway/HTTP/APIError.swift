import ConstrainedDecoding
import HTTPTypes
import Hummingbird
import ModelBackend
import NodeRuntime
import StrictJSON

/// An error as OpenAI's API reports it: `{"error": {"message", "type", "param", "code"}}`.
package struct APIError: Error, Sendable {
  package var status: HTTPResponse.Status
  package var message: String
  package var type: String
  /// JSON path of the field that is wrong.
  package var param: String?
  package var code: String?
  /// Seconds.
  package var retryAfter: Int?
  /// What the connection carries can no longer be told apart.
  package var closesConnection = false
  package var allow: String?
  /// Says which compressions of a body are read.
  var acceptsEncodings = false

  package init(
    _ status: HTTPResponse.Status, _ message: String, type: String = "invalid_request_error",
    param: String? = nil, code: String? = nil
  ) {
    self.status = status
    self.message = message
    self.type = type
    self.param = param
    self.code = code
  }

  /// The request is wrong at `param`.
  package static func invalid(_ message: String, param: String? = nil, code: String? = nil) -> APIError {
    APIError(.badRequest, message, param: param, code: code)
  }

  /// The server is about to end.
  static let draining: APIError = {
    var error = APIError(
      .serviceUnavailable, "the server is shutting down; ask another one, or again in a moment",
      type: "server_error", code: "shutting_down")
    error.retryAfter = 5
    return error
  }()

  static let engineCrashed = APIError(
    .internalServerError, "the engine crashed; the answer is lost, and the server starts again",
    type: "server_error", code: "engine_crashed")

  /// What a client is told of any error.
  package init(_ error: any Error) {
    switch error {
    case let error as APIError:
      self = error
    case let error as GenerationError:
      switch error.code {
      case .invalidRequest:
        self = .invalid(error.description)
      case .overloaded(let retryAfter):
        self = APIError(
          .tooManyRequests, error.description, type: "rate_limit_error", code: "overloaded")
        self.retryAfter = max(1, Int(retryAfter.components.seconds))
      case .shuttingDown:
        self = .draining
      case .engineFailed:
        self = APIError(
          .internalServerError, error.description, type: "server_error", code: "engine_failed")
      }
    case let error as ConstraintError:
      self = .invalid(error.description)
    case let error as ModelError where error.code == .invalidRequest:
      self = .invalid(error.description)
    default:
      self = APIError(.internalServerError, "\(error)", type: "server_error", code: "internal_error")
    }
  }

  package func write(to json: inout JSONWriter) {
    json.object { json in
      json.key("error")
      json.object { json in
        json.member("message", message)
        json.member("type", type)
        json.member("param", param)
        json.member("code", code)
      }
    }
  }

  package var body: [UInt8] {
    var json = JSONWriter()
    write(to: &json)
    return json.bytes
  }

  var headers: HTTPFields {
    var headers: HTTPFields = [.contentType: "application/json"]
    if let retryAfter { headers[.retryAfter] = String(retryAfter) }
    if closesConnection { headers[.connection] = "close" }
    if let allow { headers[.allow] = allow }
    if acceptsEncodings { headers[.acceptEncoding] = "gzip, deflate" }
    if status == .unauthorized { headers[.wwwAuthenticate] = "Bearer" }
    return headers
  }

  var response: Response {
    Response(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
  }
}
