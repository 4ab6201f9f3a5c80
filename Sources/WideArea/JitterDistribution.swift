#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What is added to a link's one-way delay, drawn once for each burst. Never negative: a link's delay is the
/// least a byte can take, as the speed of light is for a real one.
public enum JitterDistribution: Hashable, Sendable {
  case none
  /// Uniform from 0 to `maximum` milliseconds.
  case uniform(maximum: Double)
  /// Normal with this mean and standard deviation in milliseconds, truncated at 0 (values below are redrawn).
  case normal(mean: Double, deviation: Double)
  /// Log-normal: `median` in milliseconds, `sigma` the standard deviation of its logarithm.
  case lognormal(median: Double, sigma: Double)
  /// Pareto, second kind (Lomax), which starts at 0: scale x (U^(-1/shape) - 1), `scale` in milliseconds.
  /// The mean is scale / (shape - 1); the smaller the shape, the heavier the tail.
  case pareto(scale: Double, shape: Double)

  /// No sample exceeds this many milliseconds: the tails of `lognormal` and `pareto` have no end of their own.
  public static let ceilingMilliseconds = 10_000.0

  /// One sample in nanoseconds, from 0 to the ceiling.
  public func sample(_ random: inout LinkRandom) -> Int64 {
    let milliseconds: Double
    switch self {
    case .none:
      return 0
    case .uniform(let maximum):
      milliseconds = maximum * random.unit()
    case .normal(let mean, let deviation):
      // The mean is not negative, so at least every second draw is kept; 64 bounds a run of bad luck.
      var draw = -1.0
      for _ in 0..<64 where draw < 0 { draw = mean + deviation * Self.standardNormal(&random) }
      milliseconds = max(0, draw)
    case .lognormal(let median, let sigma):
      milliseconds = median * exp(sigma * Self.standardNormal(&random))
    case .pareto(let scale, let shape):
      milliseconds = scale * (pow(1 - random.unit(), -1 / shape) - 1)
    }
    return Int64(min(milliseconds, Self.ceilingMilliseconds) * 1e6)
  }

  /// Box-Muller, one of the two values.
  private static func standardNormal(_ random: inout LinkRandom) -> Double {
    let radius = sqrt(-2 * log(1 - random.unit()))
    return radius * cos(2 * Double.pi * random.unit())
  }

  /// The first thing wrong with the parameters, as a sentence that names the parameter; nil when valid.
  public var problem: String? {
    func span(_ name: String, _ value: Double) -> String? {
      value.isFinite && value >= 0 && value <= Self.ceilingMilliseconds
        ? nil : "\(name) must be between 0 and \(Int(Self.ceilingMilliseconds)) ms, not \(value)"
    }
    switch self {
    case .none:
      return nil
    case .uniform(let maximum):
      return span("the maximum of uniform jitter", maximum)
    case .normal(let mean, let deviation):
      return span("the mean of normal jitter", mean)
        ?? span("the standard deviation of normal jitter", deviation)
    case .lognormal(let median, let sigma):
      if let problem = span("the median of lognormal jitter", median) { return problem }
      return sigma.isFinite && sigma >= 0 && sigma <= 5
        ? nil : "the sigma of lognormal jitter must be between 0 and 5, not \(sigma)"
    case .pareto(let scale, let shape):
      if let problem = span("the scale of pareto jitter", scale) { return problem }
      return shape.isFinite && shape > 1 && shape <= 100
        ? nil : "the shape of pareto jitter must be above 1 (for a finite mean) and at most 100, not \(shape)"
    }
  }
}

extension JitterDistribution: Codable {
  private enum Keys: String, CodingKey, CaseIterable {
    case kind, maximumMilliseconds, meanMilliseconds, deviationMilliseconds, medianMilliseconds, sigma
    case scaleMilliseconds, shape
  }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Keys.self)
    try decoder.rejectUnknownKeys(Keys.self)
    let kind = try values.decode(String.self, forKey: .kind)
    func number(_ key: Keys) throws -> Double { try values.decode(Double.self, forKey: key) }
    switch kind {
    case "none": self = .none
    case "uniform": self = .uniform(maximum: try number(.maximumMilliseconds))
    case "normal":
      self = .normal(mean: try number(.meanMilliseconds), deviation: try number(.deviationMilliseconds))
    case "lognormal":
      self = .lognormal(median: try number(.medianMilliseconds), sigma: try number(.sigma))
    case "pareto": self = .pareto(scale: try number(.scaleMilliseconds), shape: try number(.shape))
    default:
      throw DecodingError.dataCorruptedError(
        forKey: .kind, in: values,
        debugDescription:
          "unknown jitter \"\(kind)\"; there are none, uniform, normal, lognormal and pareto")
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: Keys.self)
    switch self {
    case .none:
      try values.encode("none", forKey: .kind)
    case .uniform(let maximum):
      try values.encode("uniform", forKey: .kind)
      try values.encode(maximum, forKey: .maximumMilliseconds)
    case .normal(let mean, let deviation):
      try values.encode("normal", forKey: .kind)
      try values.encode(mean, forKey: .meanMilliseconds)
      try values.encode(deviation, forKey: .deviationMilliseconds)
    case .lognormal(let median, let sigma):
      try values.encode("lognormal", forKey: .kind)
      try values.encode(median, forKey: .medianMilliseconds)
      try values.encode(sigma, forKey: .sigma)
    case .pareto(let scale, let shape):
      try values.encode("pareto", forKey: .kind)
      try values.encode(scale, forKey: .scaleMilliseconds)
      try values.encode(shape, forKey: .shape)
    }
  }
}

extension JitterDistribution: CustomStringConvertible {
  /// As the command line writes it.
  public var description: String {
    switch self {
    case .none: "none"
    case .uniform(let maximum): "uniform:\(maximum)ms"
    case .normal(let mean, let deviation): "normal:\(mean)ms,\(deviation)ms"
    case .lognormal(let median, let sigma): "lognormal:\(median)ms,\(sigma)"
    case .pareto(let scale, let shape): "pareto:\(scale)ms,\(shape)"
    }
  }
}
