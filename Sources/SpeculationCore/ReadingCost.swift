/// What it costs a draft model to read, and the sizes that follow from it.
///
/// All of them are times first: a worker on a CPU core reads a hundred tokens in a second, one on a GPU ten thousand.
struct ReadingCost: Hashable, Sendable {
  /// Seconds for each token of a long text.
  private(set) var perToken: Double

  /// Share of a new observation.
  private static let gain = 0.2
  /// A worker that has measured nothing.
  private static let assumed = 0.001

  /// - Parameters:
  ///   - measured: for each token of a long text; nil when unknown
  ///   - draftCost: d(b), whose far end stands in for it
  init(measured: Duration?, draftCost: CostCurve) {
    let size = max(64, draftCost.points.last?.size ?? 0)
    let derived = draftCost.seconds(for: size).map { $0 / Double(size) } ?? Self.assumed
    perToken = max(measured?.inSeconds ?? derived, 1e-9)
  }

  /// Takes in a pass that did nothing but read.
  mutating func observe(tokens: Int, duration: Duration) {
    guard tokens > 0, duration > .zero else { return }
    let ratio = duration.inSeconds / Double(tokens) / perToken
    perToken *= 1 + Self.gain * (min(max(ratio, 0.5), 2) - 1)
  }

  // MARK: Sizes

  /// Time after which a worker is to have something to say of a text that it has never seen.
  private static let firstWord = 0.25
  /// Tokens of a text's beginning that an excerpt keeps. A model attends to the first tokens wherever it is, and what
  /// kind of a text it is stands there.
  static let head = 8
  private static let leastTail = 16
  /// A text is read before the first guess where that takes less than so many times what an excerpt takes.
  private static let patience = 10
  /// How many times as much a larger excerpt holds.
  private static let growth = 12
  /// A larger excerpt is read where the text is so many times as long.
  private static let worthwhile = 3

  /// Tokens that may be unread when guessing begins: the first pass reads them. That is what an excerpt holds, too.
  var atOnce: Int {
    min(max(Int(Self.firstWord / perToken), Self.head + Self.leastTail), 1 << 20)
  }

  /// Longer texts are guessed from an excerpt until they are read.
  var longestWait: Int { atOnce * Self.patience }

  /// Tokens of the first excerpt and of the larger one that follows it where the text is long enough.
  ///
  /// - Parameters:
  ///   - unread: tokens of the text that the engine does not have
  ///   - capacity: tokens that both may hold
  /// - Returns: nil where the text is read first, or where there is no larger one
  func excerpts(unread: Int, capacity: Int) -> (first: Int, larger: Int?)? {
    let first = min(atOnce, capacity / 4)
    guard unread > longestWait, first >= Self.head + Self.leastTail else { return nil }
    let larger = min(first * Self.growth, capacity - first)
    return (first, larger >= 2 * first && unread > larger * Self.worthwhile ? larger : nil)
  }

  /// Tokens that one pass reads: as many as take a few draft passes, since small ones read slowly and news of a
  /// commit waits for large ones.
  func piece(draftCost: CostCurve) -> Int {
    let pass = 5 * (draftCost.seconds(for: 1) ?? 16 * perToken / 5)
    return min(max(Int(pass / perToken), Self.leastPiece), 1 << 20)
  }

  /// Kernels work in blocks: less is hardly faster.
  static let leastPiece = 16
}
