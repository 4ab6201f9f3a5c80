import Foundation

/// A place where models are served or probes start.
public struct Region: Sendable, Hashable, Codable {
  /// "eu-west-2".
  public var name: String
  /// Degrees; north and east are positive.
  public var latitude: Double
  public var longitude: Double
  /// Of the time zone's database: "Europe/London".
  public var timeZone: String

  public init(name: String, latitude: Double, longitude: Double, timeZone: String) {
    self.name = name
    self.latitude = latitude
    self.longitude = longitude
    self.timeZone = timeZone
  }

  /// Hours ahead of UTC at that time, summer time included; 0 where the system does not know the zone.
  public func utcOffset(at date: Date) -> Double {
    Double(TimeZone(identifier: timeZone)?.secondsFromGMT(for: date) ?? 0) / 3600
  }

  /// Great-circle distance, km, on a sphere of 6371 km (haversine formula).
  public func distance(to other: Region) -> Double {
    let (a, b) = (latitude * .pi / 180, other.latitude * .pi / 180)
    let (dLatitude, dLongitude) = (b - a, (other.longitude - longitude) * .pi / 180)
    let h = pow(sin(dLatitude / 2), 2) + cos(a) * cos(b) * pow(sin(dLongitude / 2), 2)
    return 2 * 6371 * asin(min(1, h.squareRoot()))
  }

  /// A round trip that light in fibre allows, with the usual detour: two thirds of the speed of light, paths half
  /// as long again as the great circle, and 1 ms. For emulators; what is measured is better.
  public func typicalRoundTrip(to other: Region) -> Duration {
    .seconds(0.001 + 2 * 1.5 * distance(to: other) / 200_000)
  }

  /// The regions of AWS, each with its nearest large city.
  public static let known: [String: Region] = {
    let table: [(String, Double, Double, String)] = [
      ("us-east-1", 39.04, -77.49, "America/New_York"), ("us-east-2", 39.96, -83.00, "America/New_York"),
      ("us-west-1", 37.35, -121.96, "America/Los_Angeles"),
      ("us-west-2", 45.84, -119.70, "America/Los_Angeles"),
      ("ca-central-1", 45.50, -73.57, "America/Toronto"), ("ca-west-1", 51.05, -114.07, "America/Edmonton"),
      ("mx-central-1", 20.59, -100.39, "America/Mexico_City"),
      ("sa-east-1", -23.55, -46.63, "America/Sao_Paulo"),
      ("eu-west-1", 53.35, -6.26, "Europe/Dublin"), ("eu-west-2", 51.51, -0.13, "Europe/London"),
      ("eu-west-3", 48.86, 2.35, "Europe/Paris"), ("eu-central-1", 50.11, 8.68, "Europe/Berlin"),
      ("eu-central-2", 47.38, 8.54, "Europe/Zurich"), ("eu-north-1", 59.33, 18.07, "Europe/Stockholm"),
      ("eu-south-1", 45.46, 9.19, "Europe/Rome"), ("eu-south-2", 41.65, -0.88, "Europe/Madrid"),
      ("af-south-1", -33.92, 18.42, "Africa/Johannesburg"), ("il-central-1", 32.09, 34.78, "Asia/Jerusalem"),
      ("me-central-1", 24.45, 54.38, "Asia/Dubai"), ("me-south-1", 26.07, 50.55, "Asia/Bahrain"),
      ("ap-south-1", 19.08, 72.88, "Asia/Kolkata"), ("ap-south-2", 17.39, 78.49, "Asia/Kolkata"),
      ("ap-southeast-1", 1.35, 103.82, "Asia/Singapore"),
      ("ap-southeast-2", -33.87, 151.21, "Australia/Sydney"),
      ("ap-southeast-3", -6.21, 106.85, "Asia/Jakarta"),
      ("ap-southeast-4", -37.81, 144.96, "Australia/Melbourne"),
      ("ap-southeast-5", 3.14, 101.69, "Asia/Kuala_Lumpur"),
      ("ap-southeast-7", 13.76, 100.50, "Asia/Bangkok"),
      ("ap-east-1", 22.32, 114.17, "Asia/Hong_Kong"), ("ap-east-2", 25.03, 121.57, "Asia/Taipei"),
      ("ap-northeast-1", 35.68, 139.69, "Asia/Tokyo"), ("ap-northeast-2", 37.57, 126.98, "Asia/Seoul"),
      ("ap-northeast-3", 34.69, 135.50, "Asia/Tokyo"), ("ap-southeast-6", -36.85, 174.76, "Pacific/Auckland"),
      ("us-gov-east-1", 39.96, -83.00, "America/New_York"),
      ("us-gov-west-1", 45.84, -119.70, "America/Los_Angeles"),
    ]
    return Dictionary(
      uniqueKeysWithValues: table.map { ($0, Region(name: $0, latitude: $1, longitude: $2, timeZone: $3)) })
  }()
}
