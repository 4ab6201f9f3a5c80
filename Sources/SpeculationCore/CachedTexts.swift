import SplitMix

/// The prefixes of a text, as hashes of its blocks, each of all tokens up to its end. What texts begin with in common
/// is found by comparing them; the tokens themselves need not be kept.
package struct PrefixHashes: Hashable, Sendable {
  /// Tokens of a block.
  package static let block = 32

  /// Tokens of the text.
  private(set) var count: Int
  private(set) var hashes: [UInt64] = []

  /// O(tokens).
  package init(_ text: [TokenID]) {
    count = text.count
    hashes.reserveCapacity(count / Self.block)
    var hash = SplitMix64.increment
    for (index, token) in text.enumerated() {
      hash = SplitMix64.mix((hash ^ UInt64(UInt32(bitPattern: token))) &+ SplitMix64.increment)
      if (index + 1) % Self.block == 0 { hashes.append(hash) }
    }
  }
}

/// The texts that a worker was given, and so has read, unless it has forgotten them: the controller's own guess, made
/// from its own sessions, so that workers need tell nothing.
///
/// Bounded: the blocks that were of use the longest time ago are forgotten first.
package struct CachedTexts: Sendable {
  /// When each block was last of use.
  private var lastUse: [UInt64: UInt64] = [:]
  private var uses: UInt64 = 0

  /// 128 Ki tokens: more than most workers keep.
  package static let maxBlocks = 4096

  package init() {}

  /// Tokens of a text that need not be read again. O(blocks).
  package func cached(_ text: PrefixHashes) -> Int {
    PrefixHashes.block * text.hashes.prefix { lastUse[$0] != nil }.count
  }

  /// The worker reads a text. O(blocks), amortised.
  package mutating func read(_ text: PrefixHashes) {
    uses += 1
    for hash in text.hashes.prefix(Self.maxBlocks) { lastUse[hash] = uses }
    guard lastUse.count > Self.maxBlocks else { return }
    // Texts are forgotten whole, the oldest ones until half of the room is free, but never the latest.
    let oldest = lastUse.values.sorted()[lastUse.count / 2]
    let limit = min(oldest, uses - 1)
    lastUse = lastUse.filter { $0.value > limit }
  }

  /// For tests.
  package var blockCount: Int { lastUse.count }
}

extension PlacementModel {
  /// Answers of so many tokens are expected.
  static let answerTokens = 256.0
  /// A draft that knows an excerpt of a text is right about half of the time, so its runs are shorter by this factor.
  private static let excerptRun = 0.35
  /// Reading gets half of the time beside guessing.
  private static let readingShare = 0.5

  /// The time per token over a whole answer, where a worker first has to read.
  ///
  /// Until it has, its guesses come from an excerpt. A worker whose reading takes longer than the answer is never
  /// better than that.
  ///
  /// - Parameter readingSeconds: for the part of the text that it does not have
  package func secondsPerToken(
    roundTrip: Double, draftSeconds: Double, runLength: Double, readingSeconds: Double
  ) -> Double {
    let read = secondsPerToken(roundTrip: roundTrip, draftSeconds: draftSeconds, runLength: runLength)
    guard readingSeconds > 0 else { return read }
    let unread = secondsPerToken(
      roundTrip: roundTrip, draftSeconds: draftSeconds, runLength: runLength * Self.excerptRun)
    let first = min(Self.answerTokens, readingSeconds / Self.readingShare / unread)
    return (first * unread + (Self.answerTokens - first) * read) / Self.answerTokens
  }
}

extension WorkerPool.Profile {
  /// Seconds that each token of a text costs to read.
  var readingSecondsPerToken: Double { ReadingCost(measured: nil, draftCost: draftCost).perToken }
}
