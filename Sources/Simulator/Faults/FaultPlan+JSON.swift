import Foundation

/// Plans as text: one JSON document that leaves out what has its usual value, so that a shrunk plan shows what
/// matters in it.
extension FaultPlan {
  /// The whole plan, on one line or with line breaks.
  public func json(isIndented: Bool = false) -> String {
    var value = JSONValue(encoding: self)
    let usual = Self.usual
    value.leaveOut(usual.plan)
    value.changeElements("servers") { $0.leaveOut(usual.server) }
    value.changeElements("sessions") { $0.leaveOut(usual.session) }
    value.changeElements("workers") { $0.leaveOut(usual.worker) }
    value.changeElements("faults") { $0.leaveOut(usual.fault) }
    let encoder = JSONEncoder()
    encoder.outputFormatting = isIndented ? [.sortedKeys, .prettyPrinted] : [.sortedKeys]
    return String(decoding: try! encoder.encode(value), as: UTF8.self)
  }

  /// - Throws: a `DecodingError`, or `BrokenPlan` for a plan that makes no sense
  public init(json: String) throws {
    var value = try JSONDecoder().decode(JSONValue.self, from: Data(json.utf8))
    let usual = Self.usual
    value.fillIn(usual.plan)
    value.changeElements("servers") { $0.fillIn(usual.server) }
    value.changeElements("sessions") { $0.fillIn(usual.session) }
    value.changeElements("workers") { $0.fillIn(usual.worker) }
    value.changeElements("faults") { $0.fillIn(usual.fault) }
    self = try JSONDecoder().decode(FaultPlan.self, from: JSONEncoder().encode(value))
    if let problem { throw BrokenPlan(description: problem) }
  }

  public struct BrokenPlan: Error, CustomStringConvertible {
    public var description: String
  }

  /// Values that are left out. They belong to the format: a change makes old plans mean something else.
  private static let usual:
    (plan: JSONValue, server: JSONValue, session: JSONValue, worker: JSONValue, fault: JSONValue) = {
      var plan = JSONValue(encoding: FaultPlan(script: ScriptedModel(seed: 0), seed: 0))
      for key in ["seed", "script", "sessions", "workers", "faults"] { plan.remove(key) }
      var fault = JSONValue(encoding: Fault(.cut, subject: 0, at: 0))
      for key in ["kind", "subject", "at"] { fault.remove(key) }
      return (
        plan, JSONValue(encoding: Server()), JSONValue(encoding: Session()), JSONValue(encoding: Worker()),
        fault
      )
    }()
}

/// A plan that once broke a rule, kept so that it never does again: `Tests/SimulationTests/Regressions/NAME.json`.
public struct FaultRegression: Sendable {
  /// What was wrong, for people.
  public var about: String
  public var plan: FaultPlan

  public init(about: String, plan: FaultPlan) {
    self.about = about
    self.plan = plan
  }

  public init(json: String) throws {
    let value = try JSONDecoder().decode([String: JSONValue].self, from: Data(json.utf8))
    guard case .string(let about)? = value["about"], let plan = value["plan"] else {
      throw FaultPlan.BrokenPlan(description: "a regression has the fields `about` and `plan`")
    }
    self.about = about
    self.plan = try FaultPlan(json: String(decoding: JSONEncoder().encode(plan), as: UTF8.self))
  }

  public var json: String {
    let plan = try! JSONDecoder().decode(JSONValue.self, from: Data(plan.json().utf8))
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
    let value: [String: JSONValue] = ["about": .string(about), "plan": plan]
    return String(decoding: try! encoder.encode(value), as: UTF8.self) + "\n"
  }
}

/// Any JSON. Whole numbers stay exact: seeds use all 64 bits.
enum JSONValue: Hashable, Codable {
  case null
  case bool(Bool)
  case signed(Int64)
  case unsigned(UInt64)
  case double(Double)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  init(encoding value: some Encodable) {
    self = try! JSONDecoder().decode(JSONValue.self, from: JSONEncoder().encode(value))
  }

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? container.decode(Int64.self) {
      self = .signed(value)
    } else if let value = try? container.decode(UInt64.self) {
      self = .unsigned(value)
    } else if let value = try? container.decode(Double.self) {
      self = .double(value)
    } else if let value = try? container.decode(String.self) {
      self = .string(value)
    } else if let value = try? container.decode([JSONValue].self) {
      self = .array(value)
    } else {
      self = .object(try container.decode([String: JSONValue].self))
    }
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .bool(let value): try container.encode(value)
    case .signed(let value): try container.encode(value)
    case .unsigned(let value): try container.encode(value)
    case .double(let value): try container.encode(value)
    case .string(let value): try container.encode(value)
    case .array(let value): try container.encode(value)
    case .object(let value): try container.encode(value)
    }
  }

  mutating func remove(_ key: String) {
    guard case .object(var fields) = self else { return }
    fields[key] = nil
    self = .object(fields)
  }

  /// Removes the fields that are equal to those of `usual`, in inner objects, too.
  mutating func leaveOut(_ usual: JSONValue) {
    guard case .object(var fields) = self, case .object(let usual) = usual else { return }
    for (key, value) in usual {
      guard var field = fields[key] else { continue }
      if field == value {
        fields[key] = nil
      } else if key != "localPolicy" {
        field.leaveOut(value)
        fields[key] = field
      }
    }
    self = .object(fields)
  }

  /// Adds the fields of `usual` that are missing.
  mutating func fillIn(_ usual: JSONValue) {
    guard case .object(var fields) = self, case .object(let usual) = usual else { return }
    for (key, value) in usual {
      if var field = fields[key] {
        if key != "localPolicy" { field.fillIn(value) }
        fields[key] = field
      } else {
        fields[key] = value
      }
    }
    self = .object(fields)
  }

  mutating func changeElements(_ key: String, _ change: (inout JSONValue) -> Void) {
    guard case .object(var fields) = self, case .array(var elements)? = fields[key] else { return }
    for index in elements.indices { change(&elements[index]) }
    fields[key] = .array(elements)
    self = .object(fields)
  }
}
