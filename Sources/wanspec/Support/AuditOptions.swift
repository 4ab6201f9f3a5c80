import ArgumentParser
import CommandSettings
import Console

/// Which answers are decided once more, and what follows where they turn out to be others.
struct AuditOptions: ParsableArguments {
  @Option(Settings.audit) var share: ShareArgument?

  @Option(Settings.auditLog) var log: String?

  @Flag(Settings.auditStrict) var strict = false

  mutating func validate() throws {
    share = try Settings.audit.resolve(share)
    log = try Settings.auditLog.resolve(log)
    strict = try Settings.auditStrict.resolve(strict)
    if strict, share!.share == 0 {
      throw ValidationError("--audit-strict needs answers to look at: give --audit a share, such as 1%.")
    }
  }
}

/// A share as a percentage: "1%".
struct ShareArgument: TextArgument, CustomStringConvertible {
  /// 0...1.
  var share: Double

  init(parsing text: String) throws {
    guard text.hasSuffix("%"), let percent = Double(text.dropLast()), percent.isFinite else {
      throw ArgumentProblem("\"\(text)\" is not a percentage; write it with its sign, such as 1%")
    }
    guard (0...100).contains(percent) else {
      throw ArgumentProblem("a share is between 0% and 100%, not \(text)")
    }
    share = percent / 100
  }

  init(share: Double) { self.share = share }

  var description: String {
    let percent = share * 100
    return percent == percent.rounded() ? "\(Int(percent))%" : "\(percent)%"
  }
}
