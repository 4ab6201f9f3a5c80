/// A share as a percentage: "1%".
package struct Percentage: QuantityArgument, CustomStringConvertible {
  /// 0...1.
  package var share: Double

  package init(share: Double) { self.share = share }

  package init(parsing text: String) throws {
    guard text.hasSuffix("%"), let percent = Double(text.dropLast()), percent.isFinite else {
      throw ArgumentProblem("\"\(text)\" is not a percentage; write it with its sign, such as 0.1%")
    }
    guard (0...100).contains(percent) else {
      throw ArgumentProblem("a share is between 0% and 100%, not \(text)")
    }
    share = percent / 100
  }

  package var description: String {
    let percent = share * 100
    return percent == percent.rounded() ? "\(Int(percent))%" : "\(percent)%"
  }
}
