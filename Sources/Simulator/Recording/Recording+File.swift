import Foundation
import OutputFiles
import PackedBytes
import SpeculationCore

/// The file: gzip around JSON lines, a header and then one line for each text (docs/recordings.md).
extension Recording {
  public static let format = "wanspec-recording"
  public static let version = 1
  /// Bytes of a file, and of a line of what is in it.
  public static let maxFileBytes = 256 << 20
  public static let maxLineBytes = 16 << 20
  /// How many times its size a file may unpack to; numbers do to about five. A small one may in any case hold so many bytes.
  static let maxRatio = 64
  static let freeTextBytes = 16 << 20

  private struct Header: Codable {
    var format: String
    var version: Int
    var target: String
    var draft: String
    var madeBy: String
    var temperature: Float
    var topK: Int32
    var topP: Float
    var minP: Float
    var seed: UInt64
    var vocabularySize: Int
    var endTokens: [TokenID]
    var candidates: Int
    var texts: Int
    var positions: Int
  }

  private struct Line: Codable {
    var id: String
    var task: String
    var prompt: [TokenID]
    var target: [TokenID]
    var probability: [Double]
    var gap: [Double]
    var entropy: [Double]
    var tokens: [[TokenID]]
    var probabilities: [[Double]]
  }

  // MARK: Writing

  public func encoded() throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let header = Header(
      format: Self.format, version: Self.version, target: target, draft: draft, madeBy: madeBy,
      temperature: sampling.temperature, topK: sampling.topK, topP: sampling.topP, minP: sampling.minP,
      seed: sampling.seed, vocabularySize: vocabularySize, endTokens: endTokens, candidates: candidates,
      texts: texts.count, positions: positionCount)
    var bytes = [UInt8](try encoder.encode(header)) + [0x0A]
    for text in texts {
      let line = Line(
        id: text.id, task: text.task, prompt: text.prompt, target: text.positions.map(\.target),
        probability: text.positions.map { Self.rounded($0.probability) },
        gap: text.positions.map { Self.rounded($0.gap) },
        entropy: text.positions.map { Self.rounded($0.draft.entropy) },
        tokens: text.positions.map { $0.draft.candidates.map(\.token) },
        probabilities: text.positions.map { $0.draft.candidates.map { Self.rounded($0.probability) } })
      bytes += [UInt8](try encoder.encode(line)) + [0x0A]
    }
    return PackedFormat.gzip.compress(bytes)
  }

  /// Five decimals: far below what a draft's probability is good for, and half the size.
  private static func rounded(_ value: Float) -> Double { (Double(value) * 1e5).rounded() / 1e5 }

  /// Replaces the file in one step: a crash leaves the old one or the new one.
  public func write(to path: String) throws { try OutputFile.write(Data(try encoded()), to: path) }

  // MARK: Reading

  public static func read(_ path: String) throws(RecordingError) -> Recording {
    let handle: FileHandle
    do { handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path)) } catch {
      throw RecordingError(path, "cannot be read: check the path and its permissions")
    }
    return try Recording(reading: FileBytes(handle, 256 << 10), name: path)
  }

  /// - Parameter name: what errors call the file
  public init(decoding bytes: [UInt8], name: String) throws(RecordingError) {
    try self.init(reading: MemoryBytes(bytes), name: name)
  }

  private init(reading bytes: any ByteSource, name: String) throws(RecordingError) {
    var lines = try RecordingLines(bytes, name: name)
    guard let first = try lines.next() else { throw RecordingError(name, "is empty") }
    let header = try Self.header(first, name)
    self.init(
      target: header.target, draft: header.draft, madeBy: header.madeBy,
      sampling: SamplingSettings(
        temperature: header.temperature, topK: header.topK, topP: header.topP, minP: header.minP,
        seed: header.seed),
      vocabularySize: header.vocabularySize, endTokens: header.endTokens, candidates: header.candidates,
      texts: [])
    let decoder = JSONDecoder()
    var positions = 0
    while let line = try lines.next() {
      let text = try text(line, decoder, name, number: lines.number)
      positions += text.positions.count
      texts.append(text)
      // What its header does not promise is not read on.
      if texts.count > header.texts || positions > header.positions { break }
    }
    guard texts.count == header.texts, positionCount == header.positions else {
      throw RecordingError(
        name,
        "holds \(texts.count) texts and \(positionCount) positions, its header says \(header.texts) and"
          + " \(header.positions)")
    }
  }

  private static func header(_ line: [UInt8], _ name: String) throws(RecordingError) -> Header {
    struct Kind: Codable {
      var format: String
      var version: Int
    }
    guard let kind = try? JSONDecoder().decode(Kind.self, from: Data(line)), kind.format == format else {
      throw RecordingError(name, line: 1, "is no recording: its first line does not say \"\(format)\"")
    }
    guard kind.version == version else {
      throw RecordingError(
        name, line: 1, "has version \(kind.version); this program reads version \(version)")
    }
    let header: Header
    do {
      header = try JSONDecoder().decode(Header.self, from: Data(line))
    } catch {
      throw RecordingError(name, line: 1, "the header is not valid: \(RecordingError.reason(error))")
    }
    guard (2...(1 << 24)).contains(header.vocabularySize) else {
      throw RecordingError(name, line: 1, "a vocabulary of \(header.vocabularySize) tokens is impossible")
    }
    guard (1...1024).contains(header.candidates) else {
      throw RecordingError(name, line: 1, "\(header.candidates) candidates are not between 1 and 1024")
    }
    return header
  }

  private func text(
    _ line: [UInt8], _ decoder: JSONDecoder, _ name: String, number: Int
  ) throws(RecordingError) -> Text {
    func fail(_ message: String) -> RecordingError { RecordingError(name, line: number, message) }
    let columns: Line
    do {
      columns = try decoder.decode(Line.self, from: Data(line))
    } catch {
      throw fail(RecordingError.reason(error))
    }
    let count = columns.target.count
    guard !columns.prompt.isEmpty, count > 0 else { throw fail("a text needs a prompt and an answer") }
    guard columns.probability.count == count, columns.gap.count == count, columns.entropy.count == count,
      columns.tokens.count == count, columns.probabilities.count == count
    else { throw fail("the columns of \"\(columns.id)\" differ in length") }
    let vocabulary = TokenID(vocabularySize)
    for token in columns.prompt + columns.target where token < 0 || token >= vocabulary {
      throw fail("token \(token) is not in the vocabulary of \(vocabularySize)")
    }
    var positions: [Position] = []
    positions.reserveCapacity(count)
    for index in 0..<count {
      func fail(_ message: String) -> RecordingError {
        RecordingError(name, line: number, "position \(index): \(message)")
      }
      let (tokens, probabilities) = (columns.tokens[index], columns.probabilities[index])
      guard tokens.count == probabilities.count, tokens.count <= candidates else {
        throw fail("\(tokens.count) candidates, \(probabilities.count) probabilities, at most \(candidates)")
      }
      guard Set(tokens).count == tokens.count else { throw fail("a candidate is named twice") }
      for token in tokens where token < 0 || token >= vocabulary {
        throw fail("candidate \(token) is not in the vocabulary of \(vocabularySize)")
      }
      guard probabilities.allSatisfy({ (0...1).contains($0) }), probabilities.reduce(0, +) <= 1.001,
        zip(probabilities, probabilities.dropFirst()).allSatisfy({ $0 >= $1 })
      else { throw fail("the candidates' probabilities do not fall from at most 1, or exceed 1 together") }
      guard (0...1).contains(columns.probability[index]), columns.gap[index] >= 0,
        columns.gap[index].isFinite, (0...100).contains(columns.entropy[index])
      else { throw fail("probability, gap or entropy is out of range") }
      positions.append(
        Position(
          target: columns.target[index], probability: Float(columns.probability[index]),
          gap: Float(columns.gap[index]),
          draft: Distribution(
            entropy: Float(columns.entropy[index]),
            candidates: zip(tokens, probabilities).map { Candidate(token: $0, probability: Float($1)) })))
    }
    return Text(id: columns.id, task: columns.task, prompt: columns.prompt, positions: positions)
  }
}
