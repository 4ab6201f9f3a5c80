import Foundation

/// Lines of a chart that lie on others over a stretch: drawn alike, the last one would hide them.
struct CoincidingLines {
  /// By name: on how many earlier lines it lies. Lines of their own are not in it.
  private(set) var depths: [String: Int] = [:]
  /// The later line and the first one that it lies on.
  private(set) var pairs: [(upper: String, lower: String)] = []

  /// Closer than this share of the shown range, two lines cannot be told apart.
  private static let closeness = 0.006

  init(_ table: DataTable, x: Chart.Axis, y: Chart.Axis, series: String) {
    let (across, up, group) = (table.index(of: x.column), table.index(of: y.column), table.index(of: series))
    var names: [String] = []
    var lines: [String: [String: Double]] = [:]
    var places: [String] = []
    for row in table.rows {
      guard let name = row[group].name, let place = row[across].name, var value = row[up].finite else {
        continue
      }
      if y.scale == .logarithmic {
        guard value > 0 else { continue }
        value = log(value)
      }
      if lines[name] == nil { names.append(name) }
      if !places.contains(place) { places.append(place) }
      lines[name, default: [:]][place] = value
    }
    // Who has thousands of points hides nothing for long.
    guard places.count <= Chart.mostVisiblePoints else { return }
    let all = lines.values.flatMap(\.values)
    let range = (all.max() ?? 0) - (all.min() ?? 0)
    for (index, upper) in names.enumerated() {
      for lower in names[..<index] where Self.coincide(lines[upper]!, lines[lower]!, places, range) {
        if depths[upper] == nil { pairs.append((upper, lower)) }
        depths[upper] = max(depths[upper] ?? 0, (depths[lower] ?? 0) + 1)
      }
    }
  }

  /// Over two neighbouring points, or over all where there are fewer.
  private static func coincide(
    _ first: [String: Double], _ second: [String: Double], _ places: [String], _ range: Double
  ) -> Bool {
    let shared = places.filter { first[$0] != nil && second[$0] != nil }
    let close = shared.map { abs(first[$0]! - second[$0]!) <= closeness * range }
    if close.count < 2 { return close.first ?? false }
    return zip(close, close.dropFirst()).contains { $0 && $1 }
  }

  /// A sentence for below the chart; nil if no line hides another.
  var note: String? {
    guard !pairs.isEmpty else { return nil }
    let shown = pairs.prefix(4).map { "\($0.upper) on \($0.lower)" }
    let more = pairs.count > 4 ? ", and \(pairs.count - 4) more" : ""
    return "Dashed lines lie on others for a stretch: \(shown.joined(separator: ", "))\(more)."
  }
}
