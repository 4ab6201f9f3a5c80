import SpeculationCore
import Testing

/// What workers have read decides where sessions go, beside distance and speed.
struct CachedTextsTests {
  private static let slowReader = CostCurve(measured: [1: .milliseconds(20), 64: .milliseconds(640)])

  private func text(_ count: Int, from first: Int = 0) -> [TokenID] {
    (first..<(first + count)).map { TokenID($0 % 1000) }
  }

  private func pool(_ roundTrips: [Int]) -> WorkerPool {
    var pool = WorkerPool()
    for (index, roundTrip) in roundTrips.enumerated() {
      let id = WorkerID(UInt64(index + 1))
      pool.join(id, WorkerPool.Profile(name: "w\(index + 1)", draftCost: Self.slowReader), at: .zero)
      pool.measured(id, roundTrip: .milliseconds(roundTrip))
    }
    return pool
  }

  @Test func commonBeginningsAreFoundByTheBlock() {
    var texts = CachedTexts()
    texts.read(PrefixHashes(text(200)))
    #expect(texts.cached(PrefixHashes(text(200))) == 192)
    #expect(texts.cached(PrefixHashes(text(100) + [7777] + text(99, from: 101))) == 96)
    #expect(texts.cached(PrefixHashes(text(200, from: 1))) == 0)
  }

  @Test func memoryIsBoundedAndTheLatestTextStays() {
    var texts = CachedTexts()
    for first in 0..<200 {
      texts.read(PrefixHashes([TokenID(first)] + text(5000)))
      #expect(texts.blockCount <= CachedTexts.maxBlocks)
      #expect(texts.cached(PrefixHashes([TokenID(first)] + text(5000))) >= 4992)
    }
    texts.read(PrefixHashes(text(1 << 19)))
    #expect(texts.blockCount <= CachedTexts.maxBlocks)
  }

  /// 1,500 tokens at 10 ms are worth more than 40 ms of distance; 100 tokens are not.
  @Test func aSessionGoesWhereItsTextHasBeenRead() {
    for (count, expected) in [(1500, 2), (100, 1)] as [(Int, UInt64)] {
      var pool = pool([10, 50])
      pool.drain(WorkerID(1))
      pool.begin(SessionID(1), text: text(count))
      #expect(pool.decide(at: .zero, targetSeconds: 0.1) == [.place(SessionID(1), on: WorkerID(2))])
      pool.end(SessionID(1))
      pool.leave(WorkerID(1))
      pool.join(WorkerID(3), WorkerPool.Profile(name: "near", draftCost: Self.slowReader), at: .zero)
      pool.measured(WorkerID(3), roundTrip: .milliseconds(10))
      // The next turn of the chat.
      pool.begin(SessionID(2), text: text(count + 20))
      let worker = WorkerID(expected == 2 ? 2 : 3)
      #expect(
        pool.decide(at: .zero, targetSeconds: 0.1) == [.place(SessionID(2), on: worker)], "\(count) tokens")
      // Another text goes to the nearest, where nothing else keeps it busy.
      pool.end(SessionID(2))
      pool.begin(SessionID(3), text: text(count, from: 500))
      #expect(pool.decide(at: .zero, targetSeconds: 0.1) == [.place(SessionID(3), on: WorkerID(3))])
    }
  }

  @Test func readingThatTakesLongerThanTheAnswerIsWorthLess() {
    let model = PlacementModel(targetSeconds: 0.1)
    var last = 0.0
    for reading in [0, 1, 5, 20, 100, 1000] {
      let seconds = model.secondsPerToken(
        roundTrip: 0.03, draftSeconds: 0.02, runLength: 4, readingSeconds: Double(reading))
      #expect(seconds >= last && seconds < model.targetSeconds)
      last = seconds
    }
    #expect(
      last
        == model.secondsPerToken(roundTrip: 0.03, draftSeconds: 0.02, runLength: 4, readingSeconds: 1e6))
  }
}
