import Foundation
import Simulator
import SpeculationTesting
import SplitMix
import StrictYAML
import Testing

enum Mode: String, CaseIterable { case plain, chain, tree }

func document(_ text: String) throws -> YAMLDocument {
  try YAMLDocument(parsing: text, name: "s.yaml")
}

/// Reads `x: TEXT`, and gives the value or the error's description.
func reading<T>(
  _ text: String, _ read: (YAMLSection) throws(YAMLError) -> T?
) throws -> Result<T?, YAMLError> {
  let root = try document("name: n\nx: \(text)\n").root
  return Result { () throws(YAMLError) in try read(root) }
}

func description(_ body: () throws -> Void) -> String {
  do { try body() } catch { return "\(error)" }
  return "no error"
}

func refusal(_ text: String) -> String { description { _ = try document(text) } }

extension Result {
  var failure: Failure? { if case .failure(let error) = self { error } else { nil } }
}
