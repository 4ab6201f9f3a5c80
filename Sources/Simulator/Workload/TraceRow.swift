import Spelling
import StrictYAML

/// What a line of a trace says of a request: where in the line each value is.
struct TraceRow {
  enum Column: CaseIterable {
    case arrival, prompt, answer

    /// Ours, and Azure's.
    var names: [String] {
      switch self {
      case .arrival: ["arrival", "TIMESTAMP"]
      case .prompt: ["prompt", "ContextTokens"]
      case .answer: ["answer", "GeneratedTokens"]
      }
    }

    /// Mooncake's.
    var key: String {
      switch self {
      case .arrival: "timestamp"
      case .prompt: "input_length"
      case .answer: "output_length"
      }
    }
  }

  /// What is wrong with a line, and at which byte of it, from 0.
  struct Problem: Error {
    var index: Int?
    var message: String
    var hint: String?
  }

  private var arrival = 0..<0
  private var prompt = 0..<0
  private var answer = 0..<0

  /// Three properties instead of an array: a row takes no memory of its own.
  fileprivate(set) subscript(_ column: Column) -> Range<Int> {
    get {
      switch column {
      case .arrival: arrival
      case .prompt: prompt
      case .answer: answer
      }
    }
    set {
      switch column {
      case .arrival: arrival = newValue
      case .prompt: prompt = newValue
      case .answer: answer = newValue
      }
    }
  }

  static let blank = UInt8(ascii: " ")
}

/// A trace as comma-separated values: which column is which.
struct TraceTable {
  private let columns: [TraceRow.Column]

  /// Reads the header line.
  init(header line: [UInt8]) throws(TraceRow.Problem) {
    var columns: [TraceRow.Column] = []
    let names = TraceRow.Column.allCases.flatMap(\.names)
    let hint =
      "columns: \(names[0]),\(names[2]),\(names[4]), or as Azure's \(names[1]),\(names[3]),\(names[5])"
    var next: Int? = 0
    while let start = next {
      let field = Self.field(line, from: start, next: &next)
      let name = String(decoding: line[field], as: UTF8.self)
      guard let column = TraceRow.Column.allCases.first(where: { $0.names.contains(name) }) else {
        if name.utf8.first.map(YAMLDecimal.isDigit) == true {
          throw TraceRow.Problem(
            index: field.lowerBound, message: "the first line must name the columns, found \(name.shown)",
            hint: hint)
        }
        let meant = NearestName.of(name, among: names).map { "; did you mean \"\($0)\"?" } ?? ""
        throw TraceRow.Problem(
          index: field.lowerBound, message: "unknown column \(name.shown)" + meant, hint: hint)
      }
      guard !columns.contains(column) else {
        throw TraceRow.Problem(index: field.lowerBound, message: "there are two columns with the \(column)")
      }
      columns.append(column)
    }
    if let missing = TraceRow.Column.allCases.first(where: { !columns.contains($0) }) {
      throw TraceRow.Problem(message: "there is no column \"\(missing.names[0])\"", hint: hint)
    }
    self.columns = columns
  }

  func row(_ line: [UInt8]) throws(TraceRow.Problem) -> TraceRow {
    var row = TraceRow()
    var next: Int? = 0
    for (count, column) in columns.enumerated() {
      guard let start = next else {
        throw TraceRow.Problem(
          index: line.count, message: "expected \(columns.count) values, found \(count)")
      }
      row[column] = Self.field(line, from: start, next: &next)
    }
    guard next == nil else {
      throw TraceRow.Problem(index: next, message: "expected \(columns.count) values, found more")
    }
    return row
  }

  /// Up to the next comma, without spaces and quotes around.
  /// - Parameter next: becomes where the field after it begins; nil after the last
  private static func field(_ line: [UInt8], from start: Int, next: inout Int?) -> Range<Int> {
    var comma = start
    while comma < line.count, line[comma] != UInt8(ascii: ",") { comma += 1 }
    next = comma < line.count ? comma + 1 : nil
    var (low, high) = (start, comma)
    while low < high, line[low] == TraceRow.blank { low += 1 }
    while low < high, line[high - 1] == TraceRow.blank { high -= 1 }
    guard high - low >= 2, line[low] == UInt8(ascii: "\""), line[high - 1] == UInt8(ascii: "\"") else {
      return low..<high
    }
    return (low + 1)..<(high - 1)
  }
}

/// A trace as JSON Lines: flat objects of numbers.
struct TraceObject {
  /// Keys that say nothing we need.
  private static let ignored = ["hash_ids"]

  private let line: [UInt8]
  private var index = 0

  /// Reads one line.
  static func row(_ line: [UInt8]) throws(TraceRow.Problem) -> TraceRow {
    var object = TraceObject(line: line)
    return try object.read()
  }

  private init(line: [UInt8]) { self.line = line }

  private mutating func read() throws(TraceRow.Problem) -> TraceRow {
    var row = TraceRow()
    var found: Set<TraceRow.Column> = []
    try expect("{")
    repeat {
      let keyIndex = index
      let name = try string()
      try expect(":")
      if let column = TraceRow.Column.allCases.first(where: { $0.key == name }) {
        guard found.insert(column).inserted else {
          throw TraceRow.Problem(index: keyIndex, message: "\"\(name)\" is there twice")
        }
        row[column] = try number()
      } else if Self.ignored.contains(name) {
        try skipArray()
      } else {
        let names = TraceRow.Column.allCases.map(\.key) + Self.ignored
        let meant = NearestName.of(name, among: names).map { "; did you mean \"\($0)\"?" } ?? ""
        throw TraceRow.Problem(
          index: keyIndex, message: "unknown key \(name.shown)" + meant,
          hint: "keys: \(names.joined(separator: ", "))")
      }
    } while accept(",")
    try expect("}")
    skipSpace()
    guard index == line.count else { throw unexpected("the end of the line") }
    if let missing = TraceRow.Column.allCases.first(where: { !found.contains($0) }) {
      throw TraceRow.Problem(index: nil, message: "\"\(missing.key)\" is missing")
    }
    return row
  }

  private mutating func skipSpace() {
    while index < line.count, line[index] == TraceRow.blank || line[index] == UInt8(ascii: "\t") {
      index += 1
    }
  }

  private mutating func accept(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard index < line.count, line[index] == UInt8(ascii: character) else { return false }
    index += 1
    return true
  }

  private mutating func expect(_ character: Unicode.Scalar) throws(TraceRow.Problem) {
    guard accept(character) else { throw unexpected("\"\(character)\"") }
  }

  /// A key; no key that is known has anything to escape.
  private mutating func string() throws(TraceRow.Problem) -> String {
    try expect("\"")
    guard let end = line[index...].firstIndex(of: UInt8(ascii: "\"")) else { throw unexpected("a key") }
    defer { index = end + 1 }
    return String(decoding: line[index..<end], as: UTF8.self)
  }

  private mutating func number() throws(TraceRow.Problem) -> Range<Int> {
    skipSpace()
    let start = index
    while index < line.count, Self.isNumeric(line[index]) { index += 1 }
    guard index > start else { throw unexpected("a number") }
    return start..<index
  }

  private mutating func skipArray() throws(TraceRow.Problem) {
    try expect("[")
    guard !accept("]") else { return }
    repeat { _ = try number() } while accept(",")
    try expect("]")
  }

  private static func isNumeric(_ byte: UInt8) -> Bool {
    YAMLDecimal.isDigit(byte) || "+-.eE".utf8.contains(byte)
  }

  private func unexpected(_ expected: String) -> TraceRow.Problem {
    let rest = line[min(index, line.count)...]
    let found = rest.isEmpty ? "the end of the line" : String(decoding: rest.prefix(20), as: UTF8.self).shown
    return TraceRow.Problem(index: index, message: "expected \(expected), found \(found)")
  }
}
