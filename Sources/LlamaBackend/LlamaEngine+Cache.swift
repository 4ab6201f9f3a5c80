import ModelBackend
import SpeculationCore

/// How full an engine's cache is.
public struct CacheUsage: Sendable, Hashable {
  /// Cells of each open session: its cached tokens, guesses included.
  public var sessions: [SessionID: Int]
  /// Cells in use and in all.
  public var used: Int
  public var capacity: Int
  /// Lanes in use and in all.
  public var usedLanes: Int
  public var lanes: Int
}

extension LlamaEngine {
  /// The engine's own ledger of its cache.
  public func cacheUsage() throws -> CacheUsage {
    let context = try context()
    let cells = sessions.mapValues(\.cells)
    return CacheUsage(
      sessions: cells, used: cells.values.reduce(0, +), capacity: context.cells,
      usedLanes: sessions.values.reduce(0) { $0 + $1.lanes.count }, lanes: context.lanes)
  }

  /// The cells that the ledger says exist, sorted.
  package func expectedCells() -> [CachedCell] {
    sessions.values.flatMap { $0.expectedCells() }.sorted()
  }

  /// The cells that llama.cpp has, sorted. Copies the whole cache: for checks.
  package func storedCells() throws -> [CachedCell] { try context().storedCells() }
}

extension SessionCache {
  func expectedCells() -> [CachedCell] {
    var trunkLanes = [[Int32]](repeating: [], count: trunk.count)
    var nodeLanes = [[Int32]](repeating: [], count: nodes.count)
    for lane in lanes {
      switch lane.content {
      case .prefix(let count):
        for position in 0..<count { trunkLanes[position].append(lane.id) }
      case .node(let tip):
        for position in trunk.indices { trunkLanes[position].append(lane.id) }
        var at = tip
        while at >= 0 {
          nodeLanes[at].append(lane.id)
          at = nodes[at].parent
        }
      }
    }
    let trunkCells = trunkLanes.enumerated().map { CachedCell(position: $0, lanes: $1.sorted()) }
    let nodeCells = nodeLanes.enumerated().map { index, lanes in
      CachedCell(position: trunk.count + nodes[index].depth - 1, lanes: lanes.sorted())
    }
    return trunkCells + nodeCells
  }
}
