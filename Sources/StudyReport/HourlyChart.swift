import Foundation
import Reporting
import StudyAnalysis

extension StudyReport {
  /// Median and p90 over the day, one pair at a time: a specification by hand, since it asks the reader for the pair.
  var hourlyChart: Chart {
    // Short names: there are 24 rows for each pair.
    var rows: [JSON] = []
    var names: [String] = []
    var hasBands = false
    for pair in ordered {
      let label = "\(name(source: pair.source)) → \(name(target: pair.target))"
      names.append(label)
      for hour in pair.hours {
        for (kind, level) in [("median", hour.p50), ("p90", hour.p90)] {
          guard let value = milliseconds(level.value) else { continue }
          var row: [String: JSON] = [
            "p": .string(label), "k": .string(kind), "h": .number(Double(hour.hour)), "v": .number(value),
            "n": .number(Double(hour.count)),
          ]
          hasBands = hasBands || level.interval != nil
          if let low = milliseconds(level.interval?.lowerBound),
            let high = milliseconds(level.interval?.upperBound)
          {
            row["l"] = .number(low)
            row["u"] = .number(high)
          }
          rows.append(.object(row))
        }
      }
    }
    let nights = ordered.flatMap { pair in
      self.nights(pair).map { night -> JSON in
        .object([
          "p": .string("\(name(source: pair.source)) → \(name(target: pair.target))"),
          "a": .number(night.lowerBound),
          "b": .number(night.upperBound),
        ])
      }
    }
    let chosen: JSON = .object(["filter": .string("datum.p == pair")])
    let color: JSON = .object([
      "field": .string("k"), "type": .string("nominal"), "title": .null,
      "legend": .object(["orient": .string("top")]),
      "scale": .object([
        "domain": .array([.string("median"), .string("p90")]),
        "range": .array([.string("#0072b2"), .string("#d55e00")]),
      ]),
    ])
    let hour = Self.axis(
      "h", "hour of the day (UTC)",
      ["scale": .object(["domain": .array([.number(0), .number(23)]), "nice": .bool(false)])])
    let height = Self.axis("v", "request TTFT (ms)", ["scale": .object(["zero": .bool(true)])])
    // A study of a few days has none.
    let bands: [JSON] =
      hasBands
      ? [
        .object([
          "name": .string("bands"), "transform": .array([chosen]),
          "mark": .object(["type": .string("area"), "opacity": .number(0.2)]),
          "encoding": .object([
            "x": hour, "y": Self.axis("l", "request TTFT (ms)", [:]), "y2": .object(["field": .string("u")]),
            "color": color,
          ]),
        ])
      ] : []
    let spec: JSON = .object([
      "$schema": .string("https://vega.github.io/schema/vega-lite/v6.json"), "width": .number(780),
      "height": .number(300),
      "params": .array([
        .object([
          "name": .string("pair"), "value": .string(names.first ?? ""),
          "bind": .object([
            "input": .string("select"), "options": .array(names.map { .string($0) }),
            "name": .string("source → target "),
          ]),
        ])
      ]),
      "data": .object(["values": .array(rows)]),
      "layer": .array(
        [
          .object([
            "name": .string("nights"), "data": .object(["values": .array(nights)]),
            "transform": .array([chosen]),
            "mark": .object(["type": .string("rect"), "color": .string("#888888"), "opacity": .number(0.15)]),
            "encoding": .object([
              "x": Self.axis("a", "hour of the day (UTC)", [:]), "x2": .object(["field": .string("b")]),
            ]),
          ])
        ] + bands + [
          .object([
            "name": .string("lines"), "transform": .array([chosen]),
            "mark": .object(["type": .string("line"), "point": .bool(true)]),
            "encoding": .object([
              "x": hour, "y": height, "color": color,
              "tooltip": .array(
                [
                  ("k", "quantile", "nominal"), ("h", "hour", "quantitative"), ("v", "ms", "quantitative"),
                  ("l", "from", "quantitative"), ("u", "to", "quantitative"), ("n", "probes", "quantitative"),
                ].map { .object(["field": .string($0.0), "title": .string($0.1), "type": .string($0.2)]) }),
            ]),
          ])
        ]),
    ])
    return Chart(
      title: "By hour of the day",
      caption:
        "Median and p90 by hour of the day (UTC), with the middle 95% when whole days are drawn. Grey: night "
        + "(22:00 to 6:00) at the target. Choose a pair below the chart.", spec: spec.text)
  }

  private static func axis(_ field: String, _ title: String, _ more: [String: JSON]) -> JSON {
    .object(
      ["field": .string(field), "type": .string("quantitative"), "title": .string(title)].merging(more) { $1 }
    )
  }

  /// Those with a daily pattern first, a source's own region before others: what is shown at first should be worth it.
  private var ordered: [PairSummary] {
    summary.pairs.enumerated().sorted { a, b in
      func rank(_ pair: PairSummary) -> Int {
        (pair.isIntra ? 0 : 2) + (pair.daily?.isDiscovery == true ? 0 : 1)
      }
      return (rank(a.element), a.offset) < (rank(b.element), b.offset)
    }.map(\.element)
  }

  /// To a tenth, which is more than a picture shows.
  private func milliseconds(_ seconds: Double?) -> Double? {
    guard let seconds, seconds.isFinite else { return nil }
    return (seconds * 10_000).rounded() / 10
  }

  /// 22:00 to 6:00 at the target, in UTC hours: one stretch, or two around midnight.
  private func nights(_ pair: PairSummary) -> [ClosedRange<Double>] {
    let offset = facts.targets[pair.target].region.utcOffset(at: facts.middle)
    let begin = (22 - offset + 48).truncatingRemainder(dividingBy: 24)
    let end = begin + 8
    // The chart ends at 23, where the last hour is drawn.
    return end <= 24 ? [begin...min(end, 23)] : [min(begin, 23)...23, 0...(end - 24)]
  }
}
