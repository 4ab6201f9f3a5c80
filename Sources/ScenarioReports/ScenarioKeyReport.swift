import Simulator

/// Every key of a scenario, for people and for docs/simulator.md.
package enum ScenarioKeyReport {
  package static var text: String {
    ScenarioKeys.sections.map { section in
      let width = section.rows.map(\.name.count).max() ?? 0
      let lines = section.rows.map { row in
        let notes = [row.values, row.fallback.map { "default: \($0)" }]
        let said = notes.compactMap { $0 }.joined(separator: "; ")
        return "  " + row.name + String(repeating: " ", count: width - row.name.count + 2) + row.about
          + (said.isEmpty ? "" : " (\(said))")
      }
      return ([(section.path.isEmpty ? "at the top level" : section.path) + ":"] + lines)
        .joined(separator: "\n")
    }.joined(separator: "\n\n")
  }

  package static var objects: [[String: any Sendable]] {
    ScenarioKeys.sections.flatMap { section in
      section.rows.map { row in
        var object: [String: any Sendable] = [
          "section": section.path, "key": row.name, "about": row.about,
        ]
        object["values"] = row.values
        object["default"] = row.fallback
        return object
      }
    }
  }
}
