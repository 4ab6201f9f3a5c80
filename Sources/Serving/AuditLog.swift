import ConstrainedDecoding
import Credentials
import Failures
import Foundation
import Gateway
import Logging
import NodeRuntime
import OutputFiles
import SpeculationCore
import Synchronization

/// One answer that an audit found to be another than the target's own, with all that is needed to decide it again.
public struct AuditRecord: Codable, Sendable {
  /// `SamplingSettings`, as JSON has them.
  public struct Sampling: Codable, Sendable {
    public struct Adjustments: Codable, Sendable {
      public var promptLength: Int32
      public var repetition: Float
      public var presence: Float
      public var frequency: Float
      public var biasedTokens: [TokenID]
      public var biases: [Float]
    }

    public var temperature: Float
    public var topK: Int32
    public var topP: Float
    public var minP: Float
    public var seed: UInt64
    public var adjustments: Adjustments?

    init(_ settings: SamplingSettings) {
      (temperature, topK) = (settings.temperature, settings.topK)
      (topP, minP, seed) = (settings.topP, settings.minP, settings.seed)
      adjustments = settings.adjustments.map {
        Adjustments(
          promptLength: $0.promptLength, repetition: $0.repetition, presence: $0.presence,
          frequency: $0.frequency, biasedTokens: $0.biases.map(\.token), biases: $0.biases.map(\.value))
      }
    }

    public var settings: SamplingSettings {
      SamplingSettings(
        temperature: temperature, topK: topK, topP: topP, minP: minP, seed: seed,
        adjustments: adjustments.map {
          LogitAdjustments(
            promptLength: $0.promptLength, repetition: $0.repetition, presence: $0.presence,
            frequency: $0.frequency,
            biases: zip($0.biasedTokens, $0.biases).map { LogitAdjustments.Bias(token: $0, value: $1) })
        })
    }
  }

  /// `Grammar`, its rules apart, as JSON has it.
  public struct Constraint: Codable, Sendable {
    public var trigger: GrammarTrigger?
    public var beginning: String
    public var shownTokens: [TokenID]
    public var shownBytes: [[UInt8]]

    init(_ grammar: Grammar) {
      (trigger, beginning) = (grammar.trigger, grammar.beginning)
      shownTokens = grammar.shownTokens.keys.sorted()
      shownBytes = shownTokens.map { grammar.shownTokens[$0] ?? [] }
    }

    func apply(to grammar: inout Grammar) {
      (grammar.trigger, grammar.beginning) = (trigger, beginning)
      grammar.shownTokens = Dictionary(zip(shownTokens, shownBytes)) { first, _ in first }
    }
  }

  /// What `serve --target` was given.
  public var target: String
  public var time: Date
  public var prompt: [TokenID]
  public var answer: [TokenID]
  public var sampling: Sampling
  /// What the answer had to follow, in GBNF; nil for any text.
  public var grammar: String?
  /// Where it holds; nil: in all of the answer.
  public var constraint: Constraint?
  /// Of the token where they part, counted from the answer's first.
  public var index: Int
  public var given: TokenID
  public var chosen: TokenID
  public var margin: Float

  init?(_ finding: AuditFinding, _ request: AuditedRequest, target: String) {
    guard case .different(let difference) = finding.outcome else { return nil }
    self.target = target
    time = Date()
    prompt = Array(finding.tokens[..<finding.promptLength])
    answer = Array(finding.tokens[finding.promptLength...])
    sampling = Sampling(request.sampling)
    grammar = request.grammar?.rules.text
    constraint = request.grammar.map(Constraint.init)
    (index, given) = (difference.index, difference.given)
    (chosen, margin) = (difference.chosen, difference.margin)
  }

  /// The records of a file, one JSON object a line.
  ///
  /// - Throws: `ServingError` that names the line
  public static func read(_ path: String) throws -> [AuditRecord] {
    let bytes: Data
    do { bytes = try Data(contentsOf: URL(fileURLWithPath: path)) } catch {
      throw ServingError(.invalidRecord, "cannot read \(path): \(SystemProblem.words(error))", hint: nil)
    }
    let decoder = JSONDecoder()
    decoder.dateDecodingStrategy = .iso8601
    var records: [AuditRecord] = []
    for (index, line) in bytes.split(separator: UInt8(ascii: "\n")).enumerated() {
      do {
        let record = try decoder.decode(AuditRecord.self, from: Data(line))
        guard !record.prompt.isEmpty, record.answer.indices.contains(record.index) else {
          throw ServingError(.invalidRecord, "no token \(record.index) in its answer", hint: nil)
        }
        records.append(record)
      } catch {
        throw ServingError(
          .invalidRecord,
          "line \(index + 1) of \(path) is no record of an audit: \((error as? DecodingError)?.words ?? "\(error)")",
          hint: "give a file that `wanspec serve --audit` has written")
      }
    }
    return records
  }
}

/// A file of `AuditRecord`s, one a line, which only its owner may read: it has prompts in it.
public final class AuditLog: Sendable {
  private let target: String
  private let file: LineFile
  /// What is wrong with its mode, where the file was there before and others may read it.
  let exposure: String?

  /// Appends to what is there.
  ///
  /// - Parameter target: what `serve --target` was given
  /// - Throws: `ServingError`
  public init(path: String, target: String) throws {
    self.target = target
    do { file = try LineFile(path, .atEnd, mode: 0o600) } catch {
      throw ServingError(.invalidRecord, error.message, hint: error.hint)
    }
    exposure = CredentialFile.exposure(of: path)
  }

  package func write(_ finding: AuditFinding, _ request: AuditedRequest) throws {
    guard let record = AuditRecord(finding, request, target: target) else { return }
    let encoder = JSONEncoder()
    encoder.dateEncodingStrategy = .iso8601
    encoder.outputFormatting = .sortedKeys
    try file.append(try encoder.encode(record))
  }
}

/// Hears of everything for the metrics, and writes down what audits find.
struct AuditObserver: NodeObserver {
  let metrics: GatewayMetrics
  let log: AuditLog?
  let warnings: Logger

  func observe(_ event: NodeEvent) {
    metrics.observe(event)
    guard case .audited(let finding, let request, _) = event, let log, finding.outcome.isDifferent else {
      return
    }
    // A file may block; the node must not.
    Task.detached(priority: .utility) {
      do { try log.write(finding, request) } catch {
        warnings.warning("cannot write down what an audit found", metadata: ["error": "\(error)"])
      }
    }
  }
}
