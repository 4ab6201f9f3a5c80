import ArgumentParser

/// `wanspec study`: measures delays of model APIs across regions.
struct StudyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "study",
    abstract: "Measure delays of model APIs across regions, and read what was measured.",
    discussion: """
      A campaign file says which endpoints are probed, from where, and how often. Run it at each source for some days, \
      bring the files together, and make a report:

        wanspec study run campaign.yaml --source eu-west-2 --dry-run
        wanspec study run campaign.yaml --source eu-west-2
        wanspec study merge my-study-*.sqlite --output all.sqlite
        wanspec study report all.sqlite --output report.html

      To try it on this machine, with an emulator in place of the world:

        wanspec study emulate Scenarios/study/paper-shapes.yaml

      docs/study.md lists every key, what is measured and how the figures are made.
      """,
    subcommands: [
      StudyRunCommand.self, StudyResumeCommand.self, StudyMergeCommand.self, StudyExportCommand.self,
      StudyReportCommand.self, StudyEmulateCommand.self,
    ])
}
