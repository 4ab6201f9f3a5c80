import Foundation
import Simulator
import Testing

struct CapacitySearchTests {
  /// Where more is never better, the answer is the edge itself.
  @Test(arguments: [1, 2, 3, 7, 8, 40]) func findsTheEdge(most: Int) {
    for lowest in Set([1, 2, 5, most]).filter({ $0 <= most }) {
      for edge in 0...(most + 1) {
        var tried: [Int] = []
        let result = CapacitySearch(streams: lowest...most).result(holds: { $0 <= edge }) { streams in
          tried.append(streams)
          return streams
        }
        #expect(result.streams == (edge < lowest ? 0 : min(edge, most)), "\(edge) in \(lowest)...\(most)")
        #expect(result.isBounded == (edge >= most) && result.beyond.isEmpty)
        #expect(Set(tried).count == tried.count && tried.allSatisfy { (lowest...most).contains($0) })
        #expect(
          result.runs.map(\.streams) == tried.sorted()
            && result.figures == (edge < lowest ? nil : result.streams))
      }
    }
  }

  @Test func takesFewRuns() {
    for edge in [1, 100, 255, 256, 300, 511, 512] {
      let result = CapacitySearch(streams: 1...512).result(holds: { $0 <= edge }) { $0 }
      #expect(result.streams == edge && result.runs.count <= 20, "\(result.runs.count) runs")
    }
  }

  /// Every way in which up to ten numbers of streams can hold or fail.
  @Test func anyPatternGivesWhatIsPromised() {
    let most = 10
    for pattern in 0..<(1 << most) {
      let result = CapacitySearch(streams: 1...most).result(holds: { pattern >> ($0 - 1) & 1 == 1 }) { $0 }
      let failed = result.runs.filter { !$0.holds }.map(\.streams)
      let held = result.runs.filter(\.holds).map(\.streams)
      if result.streams > 0 { #expect(held.contains(result.streams)) }
      #expect(failed.allSatisfy { $0 > result.streams }, "\(pattern): no run failed below the answer")
      #expect(result.streams == most || failed.contains(result.streams + 1), "\(pattern): the next was tried")
      #expect(result.beyond == held.filter { $0 > result.streams })
      #expect(Set(failed + held).count == failed.count + held.count)
    }
  }

  /// Blocks of 32: 33 streams fail that 40 would carry again. The answer is below all that failed, and says so.
  @Test func aLimitThatIsNoEdgeIsReported() {
    let holds = { (streams: Int) in streams <= 20 || (60...70).contains(streams) }
    let result = CapacitySearch(streams: 1...512).result(holds: holds) { $0 }
    #expect(result.streams == 20 && result.beyond == [64] && !result.isBounded)
  }

  @Test func errorsComeThrough() {
    struct Broken: Error, Equatable { var streams: Int }
    #expect(throws: Broken(streams: 4)) {
      try CapacitySearch(streams: 1...64).result(holds: { _ in true }) { streams throws(Broken) in
        guard streams < 4 else { throw Broken(streams: streams) }
        return streams
      }
    }
  }
}
