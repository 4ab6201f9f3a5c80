/// Prometheus' text format, version 0.0.4.
package struct PrometheusText {
  package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  package typealias Labels = [(name: String, value: String)]

  package private(set) var text = ""

  package init() {}

  private mutating func head(_ name: String, _ help: String, _ type: String) {
    let help = help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
    text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
  }

  private mutating func sample(_ name: String, _ labels: Labels, _ value: Double) {
    text += name
    if !labels.isEmpty {
      let pairs = labels.map { label in
        let value = label.value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
          .replacing("\n", with: "\\n")
        return "\(label.name)=\"\(value)\""
      }
      text += "{\(pairs.joined(separator: ","))}"
    }
    text += " \(Self.number(value))\n"
  }

  static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    return value == value.rounded() && abs(value) < 1e15 ? String(Int(value)) : "\(value)"
  }

  package mutating func counter(_ name: String, _ help: String, _ samples: [(Labels, Double)]) {
    head(name, help, "counter")
    for (labels, value) in samples { sample(name, labels, value) }
  }

  package mutating func gauge(_ name: String, _ help: String, _ samples: [(Labels, Double)]) {
    head(name, help, "gauge")
    for (labels, value) in samples { sample(name, labels, value) }
  }

  package mutating func histogram(_ name: String, _ help: String, _ samples: [(Labels, Histogram)]) {
    head(name, help, "histogram")
    for (labels, histogram) in samples {
      var sum: UInt64 = 0
      for (index, count) in histogram.counts.enumerated() {
        sum += count
        let bound = index < histogram.bounds.count ? histogram.bounds[index] : .infinity
        sample("\(name)_bucket", labels + [("le", Self.number(bound))], Double(sum))
      }
      sample("\(name)_sum", labels, histogram.sum)
      sample("\(name)_count", labels, Double(sum))
    }
  }
}
