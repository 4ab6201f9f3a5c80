import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import PackedBytes

/// From a request to the bytes of its JSON.
extension GatewayResponder {
  /// All of the body, unpacked, within the limit.
  func body(of request: Request, for connection: ClientConnection) async throws -> [UInt8] {
    try requireJSON(request)
    let packed = try PackedBody(request.headers)
    let limit = configuration.limits.bodyBytes
    if let announced = request.headers[.contentLength].flatMap(Int.init), announced > limit {
      throw tooLarge(limit)
    }
    var bytes: [UInt8] = []
    for try await buffer in request.body {
      if bytes.count + buffer.readableBytes > limit { throw tooLarge(limit) }
      bytes += buffer.readableBytesView
    }
    guard let packed else { return bytes }
    return try await unpack(bytes, packed, limit: limit, for: connection)
  }

  /// Few bytes may hold many: what turns out to be long is unpacked where long texts are.
  private func unpack(
    _ bytes: [UInt8], _ packed: PackedBody, limit: Int, for connection: ClientConnection
  ) async throws -> [UInt8] {
    let short = min(limit, TextWork.longBytes)
    do {
      do {
        return try await service.texts.run(bytes: bytes.count, for: connection) {
          try packed.unpacked(bytes, limit: short)
        }
      } catch is PackedBody.TooLarge where short < limit {
        return try await service.texts.run(bytes: limit, for: connection) {
          try packed.unpacked(bytes, limit: limit)
        }
      }
    } catch is PackedBody.TooLarge {
      var error = tooLarge(limit, " unpacked")
      // All of it was read.
      error.closesConnection = false
      throw error
    } catch let failure as UnpackingFailure {
      throw APIError.invalid(
        failure == .truncated
          ? "the compressed body ends before it is complete"
          : "the body is not what its Content-Encoding says, or damaged", code: "invalid_content_encoding")
    }
  }

  /// A web page of any origin may post a form or a text to any server, but not JSON, for which its browser asks first.
  private func requireJSON(_ request: Request) throws(APIError) {
    let type = request.headers[.contentType]
    let media = (type ?? "").prefix { $0 != ";" }.lowercased().trimmingCharacters(in: .whitespaces)
    if media == "application/json" || (media.hasPrefix("application/") && media.hasSuffix("+json")) { return }
    throw APIError(
      .unsupportedMediaType,
      "the body must be declared as JSON"
        + (type.map { ", not as \($0.prefix(64).debugDescription)" } ?? "")
        + ": send the header Content-Type: application/json (curl: -H 'Content-Type: application/json')",
      code: "unsupported_media_type")
  }

  private func tooLarge(_ limit: Int, _ how: String = "") -> APIError {
    var error = APIError(
      .contentTooLarge, "the body has more than \(limit) bytes\(how), which is the limit",
      code: "body_too_large")
    error.closesConnection = true
    return error
  }
}
