import ArgumentParser
import Console
import Foundation
import ModelBackend

/// Whether a model's text depends on what else its engine computes.
extension DoctorCommand {
  /// Tokens before the comparison begins and compared ones: beyond the tiles of 64 in which attention goes.
  private static let (prompt, positions) = (120, 24)

  func compareShapes(of model: String) async throws {
    var options = engine
    if (options.context ?? 0) == 0 { options.context = 2048 }
    let plan = options.target(try ModelResolver().path(for: model), sessions: 4)
    let target = try await plan.load()
    defer { target.shutDown() }
    let report = try await target.checkDeterminism(
      prompt: Self.prompt, positions: Self.positions, others: 15
    ) { shape in
      if !json, Terminal.isInteractive(.standardError) { StandardError.write("comparing: \(shape)\n") }
    }
    if json {
      JSONLine.print([
        "model": target.model.name, "deterministic": report.isDeterministic,
        "engine_says": target.capabilities.isDeterministic, "largest_nats": Double(report.largest),
        "shapes": report.shapes.map(Self.object),
      ])
    } else {
      StandardOutput.line(
        "\(target.model.name), \(target.model.summary): \(Self.positions) positions, one token a pass against"
      )
      let width = report.shapes.map(\.name.count).max() ?? 0
      for shape in report.shapes {
        let name = shape.name.padding(toLength: width, withPad: " ", startingAt: 0)
        StandardOutput.line("  \(name)  \(shape.verdict)")
      }
      StandardOutput.line("\n" + report.verdict)
      if target.capabilities.isDeterministic, !report.isDeterministic {
        StandardOutput.line("the engine says of itself that they agree: please report this")
      }
    }
    if !report.isDeterministic { throw ExitCode(3) }
  }

  private static func object(_ shape: DeterminismReport.Shape) -> [String: any Sendable] {
    [
      "shape": shape.name, "positions": shape.positions, "differing": shape.differing,
      "choices": shape.choices, "largest_nats": Double(shape.largest),
    ]
  }
}
