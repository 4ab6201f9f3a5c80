import ArgumentParser
import CommandSettings
import Console

/// Which answers are decided once more, and what follows where they turn out to be others.
struct AuditOptions: ParsableArguments {
  @Option(Settings.audit) var share: Percentage?

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
