internal import SwiftProtobuf

/// Items put into as few frames as keep their order: a reader takes a frame's fields in the order of their numbers.
struct FramePacker<Frame: SwiftProtobuf.Message> {
  private let maximumItems: Int
  private var full: [Frame] = []
  private var frame = Frame()
  private var rank = 0
  private var count = 0

  /// - Parameter maximumItems: in one frame
  init(maximumItems: Int) { self.maximumItems = maximumItems }

  /// - Parameters:
  ///   - rank: place of the item's field among those of a frame
  ///   - isSingular: whether a frame has room for one of its kind
  ///   - fill: puts the item into its frame
  mutating func add(rank: Int, isSingular: Bool = false, _ fill: (inout Frame) -> Void) {
    if rank < self.rank || (isSingular && rank == self.rank) || count == maximumItems {
      full.append(frame)
      frame = Frame()
      count = 0
    }
    self.rank = rank
    count += 1
    fill(&frame)
  }

  var frames: [Frame] { count > 0 ? full + [frame] : full }
}
