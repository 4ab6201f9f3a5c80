import Foundation
import NIOCore

/// Campaign time: the world's, or an emulator's, whose days are shorter. Durations of probes are real in both.
public struct CampaignClock: Sendable {
  /// Campaign seconds in a real second.
  public let acceleration: Double
  /// Nanoseconds since 1970, campaign time.
  private let read: @Sendable () -> Int64

  /// The world's time, read anew each time, so that it is right again after somebody set the clock.
  public static var world: CampaignClock {
    CampaignClock(acceleration: 1) { Int64(Date().timeIntervalSince1970 * 1e9) }
  }

  /// - Parameters:
  ///   - time: campaign time now, seconds since 1970
  ///   - acceleration: 1 or more
  public init(time: Double, acceleration: Double) {
    let (real, campaign) = (monotonicNow(), Int64(time * 1e9))
    self.init(acceleration: acceleration) {
      campaign + Int64(Double(monotonicNow() - real) * acceleration)
    }
  }

  package init(acceleration: Double, read: @escaping @Sendable () -> Int64) {
    self.acceleration = acceleration
    self.read = read
  }

  /// Nanoseconds since 1970.
  public func now() -> Int64 { read() }

  /// Real time until a campaign time; zero or less when it has passed.
  public func wait(until time: Int64) -> Duration { .nanoseconds(Int64(Double(time - now()) / acceleration)) }
}

extension CampaignClock {
  /// An emulator's time, which it tells at `/clock`.
  ///
  /// - Returns: the clock, and the name of the emulated regions
  /// - Throws: what is wrong, in words
  public static func emulated(_ url: String) async throws -> (clock: CampaignClock, emulated: String) {
    struct Answer: Decodable {
      var time: Double
      var acceleration: Double
      var name: String
    }
    let text = try await PlainHTTP.text(try Endpoint(url), "GET", "")
    let answer = try JSONDecoder().decode(Answer.self, from: Data(text.utf8))
    guard (1...1e6).contains(answer.acceleration), (0...1e11).contains(answer.time) else {
      throw PlainHTTP.Failed(description: "\(url) tells no time that can be used: \(text.prefix(100))")
    }
    return (CampaignClock(time: answer.time, acceleration: answer.acceleration), answer.name)
  }
}
