import Foundation
import LatencyStudy

/// Checks what requests show, as the real servers do.
struct KeyCheck: Sendable {
  let keys: EmulatedRegions.Keys

  /// - Returns: nil when the request may come in
  func refusal(
    _ request: EmulatedRequest, method: String, path: String, headers: [(name: String, value: String)],
    body: [UInt8],
    now: Date = Date()
  ) -> EmulatedRequest.Refusal? {
    guard keys != EmulatedRegions.Keys() else { return nil }
    let shown = headers.first { $0.name == "authorization" }?.value ?? ""
    if let bearer = keys.bearer, shown == "Bearer \(bearer)" { return nil }
    guard case .completion(let api) = request.kind, api.isBedrock else {
      return .init(status: 401, message: "a wrong API key")
    }
    guard let id = keys.accessKeyID, let secret = keys.secretAccessKey, shown.hasPrefix("AWS4-HMAC-SHA256 ")
    else {
      return .init(
        status: 403, exception: "MissingAuthenticationTokenException", message: "Missing Authentication Token"
      )
    }
    guard let time = headers.first(where: { $0.name == "x-amz-date" })?.value, let date = Self.date(time),
      abs(date.timeIntervalSince(now)) < 300
    else {
      return .init(
        status: 403, exception: "ExpiredTokenException",
        message: "The security token included in the request is expired")
    }
    guard shown.contains("Credential=\(id)/") else {
      return .init(
        status: 403, exception: "UnrecognizedClientException",
        message: "The security token included in the request is invalid.")
    }
    let names = shown.split(separator: ", ").first { $0.hasPrefix("SignedHeaders=") }?.dropFirst(14).split(
      separator: ";")
    let added = ["x-amz-date", "x-amz-security-token"]
    let signed = headers.filter { header in
      !added.contains(header.name) && (names ?? []).contains { $0 == header.name }
    }
    let token = headers.first { $0.name == "x-amz-security-token" }?.value
    let again =
      signed.contains { $0.name == "host" }
      ? SignatureV4(
        keys: SigningKeys(accessKeyID: id, secretAccessKey: secret, sessionToken: token),
        region: request.region
      ).headers(method: method, path: path, headers: signed, body: body, date: date) : []
    guard again.contains(where: { $0.name == "authorization" && $0.value == shown }) else {
      return .init(
        status: 403, exception: "InvalidSignatureException",
        message: "The request signature we calculated does not match the signature you provided.")
    }
    return nil
  }

  /// "20260105T000000Z".
  private static func date(_ text: String) -> Date? {
    let style = Date.ISO8601FormatStyle().year().month().day().dateSeparator(.omitted)
      .time(includingFractionalSeconds: false).timeSeparator(.omitted)
    return try? style.parse(text)
  }
}
