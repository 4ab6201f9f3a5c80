import Foundation
import OutputFiles
import SpeculationCore

/// How long the passes of a pair of models take on some hardware: measured by `wanspec profile`, or published.
/// docs/simulator.md describes the file.
public struct CostProfile: Sendable, Hashable {
  public struct Engine: Sendable, Hashable {
    public var model: String
    public var pass: CostCurve
    /// What each token of a prompt costs.
    public var prefill: Duration
    /// What longer texts add to its passes.
    public var attention: AttentionCost
    /// What of a pass's time is for saying what comes after one of its tokens. A prompt's tokens but the last are asked for
    /// nothing.
    public var output: Duration

    public init(
      model: String, pass: CostCurve, prefill: Duration, attention: AttentionCost = .none,
      output: Duration = .zero
    ) {
      self.output = output
      self.model = model
      self.pass = pass
      self.prefill = prefill
      self.attention = attention
    }

    /// Passes over so many tokens read as fast as any.
    private static let readingSize = 64

    /// The same engine with what reading costs, where that is not known: a wide pass divided by its tokens.
    public var reading: Engine {
      guard prefill == .zero else { return self }
      let size = max(Self.readingSize, pass.points.last?.size ?? 0)
      var copy = self
      copy.prefill = Duration(inSeconds: (pass.seconds(for: size) ?? 0) / Double(size))
      return copy
    }
  }

  public static let format = "wanspec-profile"
  public static let version = 1

  public var name: String
  public var hardware: String
  /// Where the figures are from: the command that measured them, or the publication.
  public var source: String
  public var target: Engine
  public var draft: Engine
  /// See `SimulationPlan.contention`.
  public var contention: Double
  public var draftContention: Double
  public var variation: PassVariation

  public init(
    name: String, hardware: String, source: String, target: Engine, draft: Engine, contention: Double = 1,
    draftContention: Double = 1, variation: PassVariation = .steady
  ) {
    self.variation = variation
    self.name = name
    self.hardware = hardware
    self.source = source
    self.target = target
    self.draft = draft
    self.contention = contention
    self.draftContention = draftContention
  }

  /// The mean of two measurements of the same hardware.
  public func averaged(with other: CostProfile) -> CostProfile {
    func mean(_ a: Engine, _ b: Engine) -> Engine {
      let points = Dictionary(
        uniqueKeysWithValues: a.pass.points.map { size, time in
          (size, b.pass.seconds(for: size).map { (time + Duration(inSeconds: $0)) / 2 } ?? time)
        })
      return Engine(
        model: a.model, pass: CostCurve(measured: points), prefill: (a.prefill + b.prefill) / 2,
        attention: AttentionCost(perToken: (a.attention.perToken + b.attention.perToken) / 2),
        output: (a.output + b.output) / 2)
    }
    return CostProfile(
      name: name, hardware: hardware, source: source, target: mean(target, other.target),
      draft: mean(draft, other.draft), contention: (contention + other.contention) / 2,
      draftContention: (draftContention + other.draftContention) / 2,
      variation: PassVariation(
        target: (variation.target + other.variation.target) / 2,
        draft: (variation.draft + other.variation.draft) / 2))
  }

  private struct File: Codable {
    struct Engine: Codable {
      var model: String
      /// Milliseconds by number of tokens.
      var passMilliseconds: [String: Double]
      var prefillMillisecondsPerToken: Double?
      /// For each token of a pass and each token of text beyond 128.
      var attentionNanoseconds: Double?
      /// For each token of a pass that is not asked for what comes after it.
      var outputMillisecondsPerToken: Double?
    }
    var format: String
    var version: Int
    var name: String
    var hardware: String
    var source: String
    var target: Engine
    var draft: Engine
    var contention: Double?
    var draftContention: Double?
    var variation: Double?
    var draftVariation: Double?
  }

  // MARK: File

  public func write(to path: String) throws {
    func engine(_ engine: Engine) -> File.Engine {
      File.Engine(
        model: engine.model,
        passMilliseconds: Dictionary(
          uniqueKeysWithValues: engine.pass.points.map {
            ("\($0.size)", ($0.duration.inMilliseconds * 1000).rounded() / 1000)
          }),
        prefillMillisecondsPerToken: (engine.prefill.inMilliseconds * 1000).rounded() / 1000,
        attentionNanoseconds: engine.attention == .none
          ? nil : Double(engine.attention.perToken.wholeNanoseconds),
        outputMillisecondsPerToken: engine.output == .zero
          ? nil : (engine.output.inMilliseconds * 1000).rounded() / 1000)
    }
    let file = File(
      format: Self.format, version: Self.version, name: name, hardware: hardware, source: source,
      target: engine(target), draft: engine(draft), contention: (contention * 1000).rounded() / 1000,
      draftContention: (draftContention * 1000).rounded() / 1000,
      variation: (variation.target * 1000).rounded() / 1000,
      draftVariation: (variation.draft * 1000).rounded() / 1000)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try OutputFile.write(try encoder.encode(file) + Data([0x0A]), to: path)
  }

  public static func read(_ path: String) throws(RecordingError) -> CostProfile {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw RecordingError(path, "cannot be read: check the path and its permissions")
    }
    guard data.count < 1 << 20 else { throw RecordingError(path, "is larger than 1 MiB: no profile") }
    let file: File
    do {
      file = try JSONDecoder().decode(File.self, from: data)
    } catch {
      throw RecordingError(path, "is no profile: \(RecordingError.reason(error))")
    }
    guard file.format == format, file.version == version else {
      throw RecordingError(path, "is no profile of version \(version): \(file.format) \(file.version)")
    }
    func engine(_ engine: File.Engine, _ name: String) throws(RecordingError) -> Engine {
      var points: [Int: Duration] = [:]
      for (size, milliseconds) in engine.passMilliseconds {
        guard let size = Int(size), (1...4096).contains(size), (0.001...3.6e6).contains(milliseconds) else {
          throw RecordingError(
            path, "\(name): a pass over \(size) tokens in \(milliseconds) ms is not possible")
        }
        points[size] = Duration(inSeconds: milliseconds / 1000)
      }
      guard !points.isEmpty else { throw RecordingError(path, "\(name): no pass times") }
      let prefill = engine.prefillMillisecondsPerToken ?? 0
      guard (0...10_000).contains(prefill) else {
        throw RecordingError(path, "\(name): prefill must be between 0 and 10000 ms a token, not \(prefill)")
      }
      let attention = engine.attentionNanoseconds ?? 0
      guard (0...1e6).contains(attention) else {
        throw RecordingError(
          path, "\(name): attention must be between 0 and 1000000 ns a token of text, not \(attention)")
      }
      let output = engine.outputMillisecondsPerToken ?? 0
      guard (0...10_000).contains(output) else {
        throw RecordingError(path, "\(name): output must be between 0 and 10000 ms a token, not \(output)")
      }
      return Engine(
        model: engine.model, pass: CostCurve(measured: points), prefill: Duration(inSeconds: prefill / 1000),
        attention: AttentionCost(perToken: .nanoseconds(Int64(attention))),
        output: Duration(inSeconds: output / 1000))
    }
    let (contention, draftContention) = (file.contention ?? 1, file.draftContention ?? 1)
    guard (1...10).contains(contention), (1...10).contains(draftContention) else {
      throw RecordingError(
        path, "contention must be between 1 and 10, not \(contention) and \(draftContention)")
    }
    let variation = PassVariation(target: file.variation ?? 0, draft: file.draftVariation ?? 0)
    guard (0...0.5).contains(variation.target), (0...0.5).contains(variation.draft) else {
      throw RecordingError(
        path, "variation must be between 0 and 0.5, not \(variation.target) and \(variation.draft)")
    }
    return CostProfile(
      name: file.name, hardware: file.hardware, source: file.source,
      target: try engine(file.target, "target"),
      draft: try engine(file.draft, "draft"), contention: contention, draftContention: draftContention,
      variation: variation)
  }
}
