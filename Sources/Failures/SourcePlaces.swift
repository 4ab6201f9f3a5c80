extension String {
  /// Errors of libraries name the line of their source that threw them. That is nothing to the people who read them, and may
  /// be a path of the machine that built the program.
  package var withoutSourcePlaces: String {
    replacing(#/,? ?location: [^ ,)]+|,? ?file: "[^"]*", line: \d+/#, with: "")
      .replacing(#/:? ?\(?(?:at )?[\w.+\/-]+\.(?:swift|cc|c|h|cpp):\d+\)?/#, with: "")
  }
}
