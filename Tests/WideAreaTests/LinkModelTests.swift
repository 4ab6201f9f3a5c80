import Foundation
import Testing
import WideArea

@Suite struct LinkModelTests {
  private func link(_ change: (inout LinkModel) -> Void) -> LinkModel {
    var model = LinkModel(roundTripMilliseconds: 100)
    change(&model)
    return model
  }

  @Test func absurdValuesAreRefusedByName() throws {
    let cases: [(LinkModel, String)] = [
      (link { $0.up.delayMilliseconds = -1 }, "up: the one-way delay"),
      (link { $0.down.delayMilliseconds = .nan }, "down: the one-way delay"),
      (link { $0.down.delayMilliseconds = 1e9 }, "down: the one-way delay"),
      (link { $0.up.rateBitsPerSecond = 0 }, "up: the rate"),
      (link { $0.up.rateBitsPerSecond = .infinity }, "up: the rate"),
      (link { $0.up.loss = -0.1 }, "up: the loss"),
      (link { $0.up.loss = 1 }, "up: the loss"),
      (link { $0.up.jitter = .uniform(maximum: -1) }, "the maximum of uniform"),
      (link { $0.up.jitter = .normal(mean: 1, deviation: .nan) }, "deviation of normal"),
      (link { $0.up.jitter = .lognormal(median: 1, sigma: 9) }, "sigma of lognormal"),
      (link { $0.up.jitter = .pareto(scale: 1, shape: 1) }, "shape of pareto"),
      (
        link { $0.outages = [Outage(startMilliseconds: -1, durationMilliseconds: 1)] },
        "outages[0]: the start"
      ),
      (
        link { $0.outages = [Outage(startMilliseconds: 1, durationMilliseconds: 0)] },
        "outages[0]: the duration"
      ),
      (
        link {
          $0.outages = [Outage(startMilliseconds: 1, durationMilliseconds: 10, everyMilliseconds: 10)]
        }, "must repeat after more"
      ),
      (
        link {
          $0.outages = [Outage(startMilliseconds: 1, durationMilliseconds: 10, everyMilliseconds: 60)]
        }, "nothing ever arrives"
      ),
    ]
    for (model, words) in cases {
      let problem = try #require(model.problem, "\(words)")
      #expect(problem.contains(words), "\(problem)")
      #expect(!problem.contains("\n"))
    }
    #expect(link { _ in }.problem == nil)
  }

  @Test func survivesJSON() throws {
    var model = LinkModel(
      up: LinkDirection(
        delayMilliseconds: 12.5, jitter: .lognormal(median: 2, sigma: 0.5), rateBitsPerSecond: 1e8,
        loss: 0.001),
      down: LinkDirection(delayMilliseconds: 30, jitter: .pareto(scale: 1, shape: 2.5)),
      outages: [Outage(startMilliseconds: 5, durationMilliseconds: 2, everyMilliseconds: 90, resets: true)],
      seed: .max)
    for jitter in [JitterDistribution.none, .uniform(maximum: 3), .normal(mean: 1, deviation: 2)] {
      model.down.jitter = jitter
      let data = try JSONEncoder().encode(model)
      #expect(try JSONDecoder().decode(LinkModel.self, from: data) == model)
    }
  }

  @Test func shortJSONHasDefaults() throws {
    let text =
      #"{"up": {"delayMilliseconds": 50}, "down": {"jitter": {"kind": "uniform", "maximumMilliseconds": 1}}}"#
    let model = try JSONDecoder().decode(LinkModel.self, from: Data(text.utf8))
    #expect(model.up == LinkDirection(delayMilliseconds: 50))
    #expect(model.down == LinkDirection(jitter: .uniform(maximum: 1)))
  }

  @Test(arguments: [
    #"{"upp": {}}"#, #"{"up": {"delay": 50}}"#, #"{"up": {"jitter": {"kind": "cauchy"}}}"#,
    #"{"outages": [{"startMilliseconds": 1}]}"#, #"{"up": {"jitter": {"kind": "uniform", "max": 1}}}"#,
  ])
  func misspeltJSONIsRefused(_ text: String) {
    #expect(throws: DecodingError.self) { try JSONDecoder().decode(LinkModel.self, from: Data(text.utf8)) }
  }
}
