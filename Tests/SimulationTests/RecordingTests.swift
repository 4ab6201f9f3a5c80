import Foundation
import Simulator
import SpeculationCore
import Testing

struct RecordingTests {
  static let small = Recording(
    target: "big", draft: "small", madeBy: "a test", sampling: .greedy, vocabularySize: 100, endTokens: [0],
    candidates: 3,
    texts: [
      Recording.Text(
        id: "a", task: "code", prompt: [1, 2],
        positions: [
          position(5, [5, 6, 7], [0.5, 0.25, 0.125]), position(9, [4, 9], [0.75, 0.125]),
          position(3, [], []),
        ]),
      Recording.Text(id: "b", task: "prose", prompt: [9], positions: [position(1, [1], [1])]),
    ])

  static func position(_ target: TokenID, _ tokens: [TokenID], _ probabilities: [Float]) -> Recording.Position
  {
    Recording.Position(
      target: target, probability: 0.5, gap: 1.25,
      draft: Distribution(
        entropy: 0.75, candidates: zip(tokens, probabilities).map { Candidate(token: $0, probability: $1) }))
  }

  @Test func aFileSaysWhatWasRecorded() throws {
    let bytes = try Self.small.encoded()
    #expect(try Recording(decoding: bytes, name: "x") == Self.small)
    #expect(try Self.small.encoded() == bytes, "equal recordings give equal bytes")
  }

  @Test func countsMatches() {
    #expect(Self.small.positionCount == 4)
    #expect(Self.small.matchRate(within: 1) == 0.5)
    #expect(Self.small.matchRate(within: 2) == 0.75)
    #expect(Self.small.texts[0].positions.map(\.rank) == [0, 1, nil])
  }

  /// Every cut and every changed byte is either an error or, where the change hits what nobody reads (gzip's
  /// header), the same recording. Nothing traps.
  @Test func damageIsNoticed() throws {
    let bytes = try Self.small.encoded()
    for count in 0..<bytes.count {
      #expect(throws: RecordingError.self, "cut to \(count)") {
        try Recording(decoding: Array(bytes[..<count]), name: "x")
      }
    }
    for index in bytes.indices {
      var damaged = bytes
      damaged[index] ^= 0x20
      if let read = try? Recording(decoding: damaged, name: "x") {
        #expect(read == Self.small, "byte \(index)")
      }
    }
  }

  /// Files that pack what belongs together one after another, as `cat a.gz b.gz` and bgzip do.
  @Test func severalMembersAreOneFile() throws {
    let text = try Gunzip.text(try Self.small.encoded())
    let middle = text.count / 2
    let members =
      try Gunzip.bytes(String(decoding: text[..<middle], as: UTF8.self))
      + Gunzip.bytes(String(decoding: text[middle...], as: UTF8.self))
    #expect(try Recording(decoding: members, name: "x") == Self.small)
    #expect(throws: RecordingError.self) { try Recording(decoding: members + [7], name: "x") }
  }

  /// A small file that unpacks to a large one is refused long before it is unpacked: with a good header or without, as one
  /// line or as many.
  @Test(arguments: [false, true], [0x0A, 0x20] as [UInt8])
  func whatUnpacksToTooMuchIsNotUnpacked(hasHeader: Bool, byte: UInt8) throws {
    let header = try Gunzip.text(try Self.small.encoded()).prefix { $0 != 0x0A } + [0x0A]
    let bomb =
      try (hasHeader ? Gunzip.bytes(String(decoding: header, as: UTF8.self)) : [])
      + Gunzip.repeated(byte, mebibytes: 512)
    #expect(bomb.count < 1 << 20)
    let before = Self.largestMemory()
    var message = ""
    do throws(RecordingError) { _ = try Recording(decoding: bomb, name: "x") } catch { message = "\(error)" }
    #expect(
      ["times its size", "is longer than 16 MiB", "is empty"].contains { message.contains($0) }, "\(message)")
    #expect(Self.largestMemory() - before < 128 << 20)
  }

  /// What its header does not promise is not read.
  @Test func moreThanTheHeaderSaysIsRefusedAtOnce() throws {
    let lines = String(decoding: try Gunzip.text(try Self.small.encoded()), as: UTF8.self)
      .split(separator: "\n")
    let more = lines + Array(repeating: lines[1], count: 1000)
    #expect {
      try Recording(decoding: Gunzip.bytes(more.joined(separator: "\n")), name: "x")
    } throws: {
      "\($0)".contains("holds 3 texts")
    }
  }

  /// Bytes of this process's memory at its largest; 0 where the system does not say.
  private static func largestMemory() -> Int {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
    return (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) << 10
  }

  private static func error(_ change: (inout [String]) -> Void) throws -> String {
    var lines = String(decoding: try Gunzip.text(try small.encoded()), as: UTF8.self)
      .split(separator: "\n").map(String.init)
    change(&lines)
    do {
      _ = try Recording(decoding: try Gunzip.bytes(lines.joined(separator: "\n")), name: "file")
      return "none"
    } catch {
      return "\(error)"
    }
  }

  /// Well-formed files that lie.
  @Test func nonsenseIsRefusedWithItsPlace() throws {
    #expect(try Self.error { _ in } == "none")
    #expect(try Self.error { $0[0] = "{}" }.contains("line 1: is no recording"))
    #expect(try Self.error { $0[0].replace("\"version\":1", with: "\"version\":9") }.contains("version 9"))
    #expect(
      try Self.error { $0[0].replace("\"positions\":4", with: "\"positions\":5") }.contains("header says"))
    #expect(try Self.error { $0.removeLast() }.contains("header says"))
    #expect(
      try Self.error { $0[1].replace("[5,9,3]", with: "[5,9]") }.contains("line 2: the columns of \"a\""))
    #expect(
      try Self.error { $0[1].replace("[5,9,3]", with: "[5,9,300]") }.contains(
        "token 300 is not in the vocabulary"))
    #expect(
      try Self.error { $0[1].replace("[4,9]", with: "[4,4]") }.contains(
        "position 1: a candidate is named twice"))
    #expect(
      try Self.error { $0[1].replace("[0.75,0.125]", with: "[0.75,0.5]") }.contains("exceed 1 together"))
    #expect(try Self.error { $0[1].replace("[0.75,0.125]", with: "[0.125,0.75]") }.contains("do not fall"))
    #expect(
      try Self.error { $0[1].replace("[0.75,0.75,0.75]", with: "[0.75,-1,0.75]") }.contains("out of range"))
    #expect(try Self.error { $0[1].replace("\"gap\"", with: "\"gaps\"") }.contains("\"gap\" is missing"))
    #expect(try Self.error { $0[2] = "nonsense" }.contains("line 3: not valid JSON"))
  }

  @Test func aMissingFileIsSaidSo() {
    #expect(throws: RecordingError("/nowhere/x.gz", "cannot be read: check the path and its permissions")) {
      try Recording.read("/nowhere/x.gz")
    }
  }

  /// Correcting by what was seen must not make the shipped draft's probabilities worse.
  @Test func correctionImprovesCalibration() throws {
    let recording = try Recording.read(Shipped.recording)
    let raw = Calibration(recording, candidates: 4, correctedBy: nil)
    let corrected = Calibration(recording, candidates: 4, correctedBy: MatchEstimator())
    #expect(corrected.brier <= raw.brier * 1.005, "\(corrected.brier) against \(raw.brier)")
    #expect(corrected.expectedError <= raw.expectedError + 0.001)
    #expect(raw.bins.reduce(0) { $0 + $1.count } == corrected.bins.reduce(0) { $0 + $1.count })
  }

  @Test func theShippedRecordingIsLargeEnough() throws {
    let recording = try Recording.read(Shipped.recording)
    #expect(recording.positionCount >= 4000)
    #expect(Set(recording.texts.map(\.task)).count == 7)
    let size = try FileManager.default.attributesOfItem(atPath: Shipped.recording)[.size] as? Int
    #expect(try #require(size) < 2_000_000)
  }
}

/// Files of the repository.
enum Shipped {
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  static let scenarios = root.appendingPathComponent("Scenarios")
  static let recording = scenarios.appendingPathComponent("recordings/qwen2.5-coder.jsonl.gz").path
}

/// gzip by the system's program, independent of ours.
enum Gunzip {
  private static func run(_ arguments: [String], _ input: [UInt8]) throws -> [UInt8] {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    let (source, sink) = (Pipe(), Pipe())
    process.standardInput = source
    process.standardOutput = sink
    try process.run()
    source.fileHandleForWriting.write(Data(input))
    try source.fileHandleForWriting.close()
    let output = try sink.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return [UInt8](output)
  }

  /// Of one byte, again and again.
  static func repeated(_ byte: UInt8, mebibytes: Int) throws -> [UInt8] {
    let octal = String(byte, radix: 8)
    return try run(
      ["sh", "-c", "head -c \(mebibytes)M /dev/zero | tr '\\000' '\\\(octal)' | gzip -c"], [])
  }

  static func text(_ bytes: [UInt8]) throws -> [UInt8] { try run(["gzip", "-dc"], bytes) }
  static func bytes(_ text: String) throws -> [UInt8] { try run(["gzip", "-c"], Array(text.utf8)) }
}
