import Foundation
import Simulator
import SpeculationTesting
import SplitMix
import StrictYAML
import Testing

@Suite struct YAMLValueTests {
  @Test func absentKeysAreNil() throws {
    let root = try document("name: n").root
    #expect(try root.text("a") == nil)
    #expect(try root.flag("a") == nil)
    #expect(try root.integer("a", in: 0...1) == nil)
    #expect(try root.number("a", in: 0...1) == nil)
    #expect(try root.duration("a") == nil)
    #expect(try root.rate("a") == nil)
    #expect(try root.choice("a", Mode.self) == nil)
    #expect(try root.section("a") == nil)
    #expect(try root.sections("a", maxCount: 1) == nil)
    #expect(root.value("a") == nil)
    #expect(!root.has("a"))
    #expect(root.keys == ["name"])
  }

  @Test(arguments: [
    ("hello world", "hello world"), ("no", "no"), ("5", "5"), ("\"\"", ""), ("'null'", "null"),
    ("a*b * c", "a*b * c"),
    ("\"*\\u00e9\"", "*é"), ("|\n  one\n  two", "one\ntwo\n"), ("a & b", "a & b"),
  ])
  func text(written: String, value: String) throws {
    #expect(
      try reading(written) { section throws(YAMLError) in try section.text("x") } == .success(value))
  }

  @Test(arguments: [
    ("", #"s.yaml:2: x: expected a text, found no value\#n  hint: write a value, or remove the key"#),
    ("~", #"s.yaml:2: x: expected a text, found no value\#n  hint: write a value, or remove the key"#),
    ("[a]", "s.yaml:2: x: expected a text, found a list"),
    ("{a: b}", "s.yaml:2: x: expected a text, found a mapping"),
    ("abcdef", "s.yaml:2: x: must have at most 5 characters, found 6"),
  ])
  func wrongText(written: String, error: String) throws {
    let result = try reading(written) { section throws(YAMLError) in try section.text("x", maxLength: 5) }
    #expect(result.failure?.description == error)
  }

  @Test func flags() throws {
    func read(_ text: String) throws -> Result<Bool?, YAMLError> {
      try reading(text) { section throws(YAMLError) in try section.flag("x") }
    }
    #expect(try read("true") == .success(true))
    #expect(try read("false") == .success(false))
    for text in ["yes", "True", "1", "\"true\"", "[]"] {
      #expect(try read(text).failure?.message.hasPrefix("x: expected true or false, found") == true)
    }
  }

  @Test(arguments: [("7", 7), ("-3", -3), ("+9", 9), ("0", 0), ("-0", 0)])
  func integers(written: String, value: Int) throws {
    #expect(
      try reading(written) { section throws(YAMLError) in try section.integer("x", in: -3...9) }
        == .success(value))
  }

  @Test(arguments: [
    ("10", "x: must be -3 to 9, found 10"),
    ("99999999999999999999", "x: must be -3 to 9, found 99999999999999999999"),
    ("1.0", "x: expected a whole number, found \"1.0\""),
    ("1e3", "x: expected a whole number, found \"1e3\""),
    ("1_000", "x: expected a whole number, found \"1_000\""),
    ("07", "x: expected a whole number, found \"07\""),
    ("0x7", "x: expected a whole number, found \"0x7\""),
    ("\"7\"", "x: expected a whole number, found \"7\""),
    ("+", "x: expected a whole number, found \"+\""), ("", "x: expected a whole number, found no value"),
    ("٣", "x: expected a whole number, found \"٣\""),
  ])
  func wrongIntegers(written: String, message: String) throws {
    let result = try reading(written) { section throws(YAMLError) in try section.integer("x", in: -3...9)
    }
    #expect(result.failure?.message == message)
  }

  @Test func openRanges() throws {
    let low = try reading("0") { section throws(YAMLError) in try section.integer("x", in: 1 ... .max) }
    #expect(low.failure?.message == "x: must be 1 or more, found 0")
    let high = try reading("2.5") { section throws(YAMLError) in
      try section.number("x", in: -Double.infinity...1)
    }
    #expect(high.failure?.message == "x: must be 1 or less, found 2.5")
  }

  @Test(arguments: [
    ("0.5", 0.5), ("1", 1), ("5e-1", 0.5), ("85%", 0.85), ("\"7%\"", 0.07), ("0.0", 0), ("0%", 0),
  ])
  func numbers(written: String, value: Double) throws {
    let result = try reading(written) { section throws(YAMLError) in
      try section.number("x", in: 0...1, percent: true)
    }
    #expect(result == .success(value))
  }

  @Test(arguments: [
    ("1.5", "x: must be 0 to 1, found 1.5"), ("150%", "x: must be 0% to 100%, found 150%"),
    ("-1%", "x: must be 0% to 100%, found -1%"), ("1e999", "x: must be 0 to 1, found 1e999"),
    ("1e-999", "x: \"1e-999\" is too small"),
    (".nan", "x: expected a number or a percentage, found \".nan\""),
    ("nan", "x: expected a number or a percentage, found \"nan\""),
    (".inf", "x: expected a number or a percentage, found \".inf\""),
    ("infinity", "x: expected a number or a percentage, found \"infinity\""),
    ("0x1p-1", "x: expected a number or a percentage, found \"0x1p-1\""),
    ("1e99999999999999999999", "x: must be 0 to 1, found 1e99999999999999999999"),
    ("\"0.5\"", "x: expected a number or a percentage, found \"0.5\""),
    ("%", "x: expected a number or a percentage, found \"%\""),
    ("1,5", "x: expected a number or a percentage, found \"1,5\""),
  ])
  func wrongNumbers(written: String, message: String) throws {
    // A % cannot begin a plain text.
    let written = written == "%" ? "'%'" : written
    let result = try reading(written) { section throws(YAMLError) in
      try section.number("x", in: 0...1, percent: true)
    }
    #expect(result.failure?.message == message)
  }

  @Test func numbersAreFinite() throws {
    let huge = try reading("1e999") { section throws(YAMLError) in
      try section.number("x", in: 0 ... .infinity)
    }
    #expect(huge.failure?.message == "x: \"1e999\" is too large")
    let percent = try reading("85%") { section throws(YAMLError) in try section.number("x", in: 0...1) }
    #expect(
      percent.failure?.description
        == "s.yaml:2: x: expected a number, found \"85%\"\n  hint: write a plain number")
  }

  @Test(arguments: [
    ("50ms", Duration.milliseconds(50)), ("50 ms", .milliseconds(50)), ("0.1s", .milliseconds(100)),
    ("1.5us", .nanoseconds(1500)), ("7ns", .nanoseconds(7)), ("2min", .seconds(120)),
    ("8760h", .seconds(31_536_000)),
    ("\"3s\"", .seconds(3)), ("0s", .zero), ("-0s", .zero), ("1.9ns", .nanoseconds(2)),
    ("0.333333333333ms", .nanoseconds(333_333)),
  ])
  func durations(written: String, value: Duration) throws {
    #expect(
      try reading(written) { section throws(YAMLError) in try section.duration("x") } == .success(value))
  }

  @Test(arguments: [
    ("30", "x: 30 has no unit; write 30ms"), ("30 msec", "x: unknown unit \"msec\"; did you mean 30ms?"),
    ("5 minutes", "x: unknown unit \"minutes\"; did you mean 5min?"),
    ("5MS", "x: unknown unit \"MS\"; did you mean 5ms?"),
    ("5m", "x: unknown unit \"m\""), ("1h30min", "x: unknown unit \"h30min\"; did you mean 1h?"),
    ("1e3ms", "x: unknown unit \"e3ms\"; did you mean 1ms?"), ("-5ms", "x: must be 0s to 8760h, found -5ms"),
    ("8761h", "x: must be 0s to 8760h, found 8761h"),
    ("99999999999999999999h", "x: must be 0s to 8760h, found 99999999999999999999h"),
    ("9999999999999999999999999h", "x: \"9999999999999999999999999h\" has too many digits"),
    ("0.1ns", "x: \"0.1ns\" is less than a nanosecond"),
    ("soon", "x: expected a duration, such as 50ms, found \"soon\""),
    ("inf s", "x: expected a duration, such as 50ms, found \"inf s\""),
    ("1.s", "x: expected a duration, such as 50ms, found \"1.s\""),
    ("[50ms]", "x: expected a duration, such as 50ms, found a list"),
    ("--5ms", "x: expected a duration, such as 50ms, found \"--5ms\""),
  ])
  func wrongDurations(written: String, message: String) throws {
    let result = try reading(written) { section throws(YAMLError) in try section.duration("x") }
    #expect(result.failure?.message == message)
    #expect(result.failure?.line == 2)
  }

  @Test func durationRangesAreInReadableUnits() throws {
    let result = try reading("2s") { section throws(YAMLError) in
      try section.duration("x", in: .microseconds(1500) ... .milliseconds(90))
    }
    #expect(result.failure?.description == "s.yaml:2: x: must be 1500us to 90ms, found 2s")
    let endless = try reading("-1s") { section throws(YAMLError) in
      try section.duration("x", in: .zero ... .seconds(Int64.max))
    }
    #expect(endless.failure?.message == "x: must be 0s to 9223372036854775807s, found -1s")
  }

  @Test(arguments: [
    ("100Mbit/s", 1e8), ("1.1 Mbit/s", 1.1e6), ("64kbit/s", 64_000), ("9bit/s", 9), ("2.5Gbit/s", 2.5e9),
  ])
  func rates(written: String, value: Double) throws {
    #expect(
      try reading(written) { section throws(YAMLError) in try section.rate("x") } == .success(value))
  }

  @Test(arguments: [
    ("100", "x: 100 has no unit; write 100Mbit/s"),
    ("100Mbps", "x: unknown unit \"Mbps\"; did you mean 100Mbit/s?"),
    ("100 mbit", "x: unknown unit \"mbit\"; did you mean 100Mbit/s?"),
    ("10MB/s", "x: rates are in bits, not bytes, found \"10MB/s\""),
    ("0bit/s", "x: must be 1bit/s to 10000Gbit/s, found 0bit/s"),
    ("-1Mbit/s", "x: must be 1bit/s to 10000Gbit/s, found -1Mbit/s"),
    ("fast", "x: expected a rate, such as 100Mbit/s, found \"fast\""),
  ])
  func wrongRates(written: String, message: String) throws {
    let result = try reading(written) { section throws(YAMLError) in try section.rate("x") }
    #expect(result.failure?.message == message)
  }

  @Test func choices() throws {
    func read(_ text: String) throws -> Result<Mode?, YAMLError> {
      try reading(text) { section throws(YAMLError) in try section.choice("x") }
    }
    #expect(try read("tree") == .success(.tree))
    #expect(
      try read("tre").failure?.description
        == "s.yaml:2: x: unknown choice \"tre\"; did you mean \"tree\"?\n  hint: choices: plain, chain, tree")
    #expect(try read("zzz").failure?.message == "x: unknown choice \"zzz\"")
    #expect(try read("[tree]").failure?.message == "x: expected one of the choices, found a list")
  }

  @Test func listsAndUnions() throws {
    let root = try document(
      """
      gates:
        - never
        - {entropy: 1.5}
        - entropy: 2
          typo: 1
      sizes: [1, 2, x]
      """
    ).root
    let gates = try root.list("gates", maxCount: 3) { value throws(YAMLError) -> Double? in
      if value.scalar == "never" { return nil }
      let section = try value.section()
      return try section.required("entropy", section.number("entropy", in: 0...10))
    }
    #expect(gates == [nil, 1.5, 2])
    #expect(root.value("gates")?.kind == .list)
    #expect(
      description {
        _ = try root.list("sizes", maxCount: 3) { (value) throws(YAMLError) in
          try value.integer(in: 0...9)
        }
      }
        == "s.yaml:6: sizes.2: expected a whole number, found \"x\"\n  hint: write digits only, as in 12000")
    #expect(
      description {
        _ = try root.list("sizes", maxCount: 2) { (value) throws(YAMLError) in
          try value.integer(in: 0...9)
        }
      }
        == "s.yaml:6: sizes: must have at most 2 elements, found 3")
    #expect(
      description { _ = try root.sections("sizes", maxCount: 9) }
        == "s.yaml:6: sizes.0: expected a mapping, found \"1\"\n  hint: write its keys below it")
    #expect(
      description { try root.finish() }
        == "s.yaml:5: unknown key \"typo\" in gates.2\n  hint: keys here: entropy")
  }
}
