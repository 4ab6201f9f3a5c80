import SpeculationCore

/// The bytes of every token of a vocabulary, in one piece, and the tokens in the order of their bytes, so that a
/// grammar can look at what tokens have in common once.
public final class TokenBytes: Sendable {
  private let bytes: [UInt8]
  private let offsets: [Int32]
  /// Tokens with bytes, ascending by them.
  let sorted: [TokenID]
  /// How many bytes each token of `sorted` has in common with the one before it.
  let common: [Int32]

  /// O(vocabulary log vocabulary): tenths of a second for a large one.
  ///
  /// - Parameter bytes: what a token adds to the text; empty for control tokens
  public init(vocabularySize: Int, bytes: (TokenID) -> [UInt8]) {
    var all: [UInt8] = []
    var offsets: [Int32] = [0]
    offsets.reserveCapacity(vocabularySize + 1)
    for token in 0..<TokenID(clamping: vocabularySize) {
      all += bytes(token)
      offsets.append(Int32(all.count))
    }
    func piece(_ token: TokenID) -> ArraySlice<UInt8> {
      all[Int(offsets[Int(token)])..<Int(offsets[Int(token) + 1])]
    }
    let sorted = (0..<TokenID(clamping: vocabularySize)).filter { !piece($0).isEmpty }.sorted {
      piece($0).lexicographicallyPrecedes(piece($1))
    }
    var common = [Int32](repeating: 0, count: sorted.count)
    for index in sorted.indices.dropFirst() {
      let (a, b) = (piece(sorted[index - 1]), piece(sorted[index]))
      common[index] = Int32(zip(a, b).prefix { $0 == $1 }.count)
    }
    self.bytes = all
    self.offsets = offsets
    self.sorted = sorted
    self.common = common
  }

  public var vocabularySize: Int { offsets.count - 1 }

  /// Empty for a token that is not in the vocabulary.
  func piece(_ token: TokenID) -> ArraySlice<UInt8> {
    guard token >= 0, Int(token) < vocabularySize else { return [] }
    return bytes[Int(offsets[Int(token)])..<Int(offsets[Int(token) + 1])]
  }
}
