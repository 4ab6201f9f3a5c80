import ArgumentParser
import CommandSettings
import Console

/// `--config` and `--print-config`, for commands that run for long.
struct ConfigurationOptions: ParsableArguments {
  @Option(Settings.config) var config: String?

  @Flag(
    name: .customLong("print-config"), help: "Print the settings that hold, as a configuration file, and end."
  )
  var printConfig = false

  /// - Parameter chosen: what holds where nothing is given, by flag
  func print(chosen: [String: String]) {
    StandardOutput.write(
      SettingRecords.configurationFile(autopilot: Settings.autopilot, chosen: chosen))
  }
}
