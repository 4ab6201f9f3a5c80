import Foundation
import Reporting

/// One chart of each kind, about something that everybody knows: a ferry across a river.
enum Samples {
  static let provenance = Provenance(
    scenario: "river", seed: 7, version: "ferries 1.2.0 (0123abc)",
    command: "ferries simulate --scenario river --seed 7 --boats 1,2,4 --report river.html",
    lines: ["2 processors, virtual time"])

  static func line(size: Chart.Size = .wide) -> Chart {
    var table = DataTable([
      .init("width", title: "River's width", unit: "km"), .init("boat", title: "Boat"),
      .init("time", title: "Waiting time, median", unit: "min", decimals: 1),
      .init("q1", title: "First quartile", unit: "min", decimals: 1),
      .init("q3", title: "Third quartile", unit: "min", decimals: 1),
    ])
    for (number, boat) in ["one ferry", "two ferries", "four ferries"].enumerated() {
      for step in 0...10 {
        let width = Double(step) * 0.5
        let time = 4 + width * 9 / Double(1 << number) + sin(width * 3) * 0.8
        table.append([
          .number(width), .text(boat), .number(time), .number(time * 0.85), .number(time * 1.2),
        ])
      }
    }
    return Chart.line(
      table, title: "Waiting grows with the river's width", x: "width", y: "time", series: "boat",
      band: .init(low: "q1", high: "q3"), rules: [.init(at: 30, label: "on foot over the bridge")], size: size
    ).captioned("Median waiting time; bands reach from the first to the third quartile of 200 passengers.")
  }

  static func logarithmic(size: Chart.Size = .half) -> Chart {
    var table = DataTable(["n", "t", "kind"])
    for kind in ["linear", "quadratic"] {
      for power in 0...6 {
        let n = pow(10.0, Double(power) / 2)
        table.append([.number(n), .number(kind == "linear" ? n / 100 : n * n / 100), .text(kind)])
      }
    }
    table.append([0, -1, "linear"])
    return Chart.line(
      table, title: "Cost of counting passengers", x: .log("n"), y: .log("t"), series: "kind", size: size)
  }

  static func frontier() -> Chart {
    var table = DataTable([
      .init("cost", title: "Fuel", unit: "L/trip", decimals: 1),
      .init("time", title: "Crossing time", unit: "min", decimals: 1), "engine",
      .init("speed", title: "Speed", unit: "kn"),
    ])
    for (engine, factor) in [("diesel", 1.0), ("electric", 0.6)] {
      for speed in [4.0, 6, 8, 10, 14, 20] {
        table.append([
          .number(factor * (3 + speed * speed / 12)), .number(120 / speed + (factor < 1 ? 2 : 0)),
          .text(engine),
          .number(speed),
        ])
      }
    }
    return Chart.frontier(
      table, title: "What speed costs", x: "cost", y: "time", series: "engine", parameter: "speed",
      better: "down and left")
  }

  static func bars(_ layout: Chart.BarLayout, interval: Bool = false, size: Chart.Size = .half) -> Chart {
    var table = DataTable([
      "day", "class", .init("count", title: "Passengers", decimals: 0), .init("low", decimals: 0),
      .init("high", decimals: 0),
    ])
    for (index, day) in ["Mon", "Tue", "Sat", "Sun"].enumerated() {
      for (offset, kind) in ["walkers", "cyclists"].enumerated() {
        let count = Double(120 + index * 45 - offset * 40)
        table.append([
          .text(day), .text(kind), .number(count), .number(count * 0.9), .number(count * 1.15),
        ])
      }
    }
    return Chart.bars(
      table, title: layout == .stacked ? "All passengers" : "Passengers by class", x: "day", y: "count",
      series: "class", layout: layout, interval: interval ? .init(low: "low", high: "high") : nil, size: size)
  }

  static func timeline() -> Chart {
    var table = DataTable([
      "plan", "place", .init("start", title: "Time", unit: "min"), .init("end", title: "End", unit: "min"),
      "what", "note",
    ])
    for (number, plan) in ["One ferry", "Two ferries"].enumerated() {
      var time = 0.0
      for trip in 0..<4 {
        let length = number == 0 ? 14.0 : 8
        table.append([
          .text(plan), "west bank", .number(time), .number(time + 4), "boarding", .text("trip \(trip)"),
        ])
        table.append([
          .text(plan), "river", .number(time + 4), .number(time + length), "crossing", .text("trip \(trip)"),
        ])
        table.append([
          .text(plan), "east bank", .number(time + length), nil, "arrival", .text("trip \(trip)"),
        ])
        time += length + (number == 0 ? 5 : 1)
      }
    }
    return Chart.timeline(
      table, title: "Four trips", subtitle: "Diamonds are arrivals.", lane: "place",
      lanes: ["west bank", "river", "east bank"], start: "start", end: "end", kind: "what", facet: "plan",
      tooltip: ["note"])
  }

  static func heatMap() -> Chart {
    var table = DataTable([
      .init("hour", title: "Hour of the day"), .init("season", title: "Season"),
      .init("full", title: "Seats taken", unit: "%", decimals: 0),
    ])
    for (row, season) in ["spring", "summer", "autumn", "winter"].enumerated() {
      for hour in stride(from: 6, through: 22, by: 2) {
        let value = 50 + 40 * sin(Double(hour) / 3.2) - Double(abs(row - 1)) * 12
        table.append([.text("\(hour):00"), .text(season), .number(max(2, value))])
      }
    }
    return Chart.heatMap(table, title: "How full the ferry is", x: "hour", y: "season", value: "full")
  }

  static func reliability() -> Chart {
    var table = DataTable([
      .init("said", title: "Predicted probability of delay", decimals: 2),
      .init("seen", title: "Observed frequency", decimals: 2),
      .init("n", title: "Trips", decimals: 0), .init("lo", decimals: 2), .init("hi", decimals: 2),
    ])
    for bin in 0..<10 {
      let said = Double(bin) / 10 + 0.05
      let seen = min(1, max(0, said + 0.08 * sin(said * 7)))
      table.append([
        .number(said), .number(seen), .number(Double(400 - bin * 35)), .number(max(0, seen - 0.06)),
        .number(min(1, seen + 0.06)),
      ])
    }
    return Chart.reliability(
      table, title: "Can delays be foretold?", predicted: "said", observed: "seen", count: "n",
      interval: .init(low: "lo", high: "hi"))
  }

  static var table: DataTable {
    DataTable(
      [
        "ferry", .init("trips", title: "Trips"), .init("wait", title: "Waiting", unit: "min", decimals: 1),
        .init("fuel", title: "Fuel", unit: "L"),
      ],
      rows: [
        ["Anna", 12_840, 7.25, 0.012345], ["Berta", 912, 11.5, nil], ["Clara", 3, 0.5, .number(.nan)],
      ])
  }

  static let charts: [(name: String, chart: Chart)] = [
    ("line", line()), ("logarithmic line", logarithmic()), ("frontier", frontier()),
    ("grouped bars", bars(.grouped)), ("stacked bars", bars(.stacked)),
    ("bars with intervals", bars(.grouped, interval: true)), ("timeline", timeline()),
    ("heat map", heatMap()),
    ("reliability", reliability()),
  ]

  static func page(_ charts: [Chart]) -> ReportPage {
    ReportPage(
      title: "Charts", sections: [.init("Charts", charts.map { .chart($0) })], provenance: provenance)
  }

  static var report: ReportPage {
    ReportPage(
      title: "Crossing the river", subtitle: "What a second ferry is worth, and when it is not.",
      findings: [
        .init("2.1×", "as many passengers cross with two ferries as with one, on a river of 2 km."),
        .init("−38 %", "waiting time at the median; no difference below 0.5 km."),
        .init("6 L", "of fuel a trip is the price, which electric engines halve."),
      ],
      sections: [
        .init(
          "Waiting",
          [
            .text(
              "Wide rivers need more ferries. On narrow ones, passengers board for longer than they cross."),
            .chart(line()), .table(table, caption: "The three ferries of the fleet in one season."),
          ]),
        .init("Cost", [.chart(frontier()), .chart(bars(.grouped)), .chart(bars(.stacked))]),
        .init("A day", [.chart(timeline()), .chart(heatMap())]),
        .init("Predictions", [.chart(reliability()), .chart(logarithmic())]),
      ], provenance: provenance)
  }
}
