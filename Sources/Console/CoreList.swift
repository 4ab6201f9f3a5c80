import ArgumentParser

/// A list of processor cores: "0", "0,2", "0-3".
package struct CoreList: TextArgument, CustomStringConvertible {
  package var cores: [Int]

  package init(_ cores: [Int]) { self.cores = cores }

  package init(parsing text: String) throws {
    cores = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
      guard ends.count <= 2, let low = ends.first ?? nil, let high = ends.last ?? nil, low >= 0, low <= high,
        high < 4096
      else {
        throw ArgumentProblem("\"\(text)\" is not a list of cores; write such as 0 or 0,2 or 0-3")
      }
      cores += low...high
    }
  }

  package var description: String { cores.map(String.init).joined(separator: ",") }
}
