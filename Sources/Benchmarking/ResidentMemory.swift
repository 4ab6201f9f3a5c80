import Console
import Foundation

/// Memory of this process that is in RAM now.
package enum ResidentMemory {
  /// Bytes; nil where the system does not say (only Linux is asked).
  package static func now() -> Int? {
    guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return nil }
    let fields = text.split(separator: " ")
    guard fields.count > 1, let pages = Int(fields[1]) else { return nil }
    return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
  }

  /// How it grew over a run, for people: the median of the second tenth of the samples against that of the last
  /// (the first tenth touches memory for the first time). nil for too few samples.
  package static func growth(_ samples: [Int]) -> String? {
    guard samples.count >= 20 else { return nil }
    let tenth = samples.count / 10
    func median(_ part: ArraySlice<Int>) -> Double { Double(part.sorted()[part.count / 2]) }
    let early = median(samples[tenth..<2 * tenth])
    let late = median(samples.suffix(tenth))
    return
      "resident memory over \(samples.count) generations: \((early / 1e6).fixed(1)) MB early, "
      + "\((late / 1e6).fixed(1)) MB at the end, \((100 * (late / early - 1)).fixed(2))% growth"
  }
}
