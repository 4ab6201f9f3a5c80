import ModelBackend
import Simulator
import SpeculationCore
import SplitMix

/// What every target must do, whoever made its engine: one check for each rule of `TargetModel`.
public enum TargetCheck: String, CaseIterable, Sendable {
  case choicesDoNotDependOnTheBatch
  case choicesFollowTheirPaths
  case callsFromSeveralTasksQueue
  case prefixesAreReadWithinTheBudget
  case aBudgetOfNothingLetsTextsGoOn
  case guessesThatCameTrueAreNotEvaluatedAgain
  case prefixesAreSharedAndSaidSo
  case aPassThatDoesNotFitChangesNothing
  case aReleaseMakesRoom
  case guessesOfOthersGiveWay
  case branchesMoveBetweenSessions
  case requestsThatMakeNoSenseAreRefused
  case nothingIsDoneAfterAShutDown
  case theBooksAgree
  case theLimitsAgree
  case whatItSaysItCanItDoes
  case measuringLeavesNothing
  case passesOfAllShapesAgree

  /// - Throws: `CheckFailure`, or what the engine threw that it should not have.
  public func run(_ fixture: EngineFixture<any TargetModel>) async throws {
    switch self {
    case .choicesDoNotDependOnTheBatch: try await Self.batches(fixture)
    case .choicesFollowTheirPaths: try await Self.paths(fixture)
    case .callsFromSeveralTasksQueue: try await Self.tasks(fixture)
    case .prefixesAreReadWithinTheBudget: try await Self.budget(fixture)
    case .aBudgetOfNothingLetsTextsGoOn: try await Self.noBudget(fixture)
    case .guessesThatCameTrueAreNotEvaluatedAgain: try await Self.acceptance(fixture)
    case .prefixesAreSharedAndSaidSo: try await Self.sharing(fixture)
    case .aPassThatDoesNotFitChangesNothing: try await Self.refusal(fixture)
    case .aReleaseMakesRoom: try await Self.release(fixture)
    case .guessesOfOthersGiveWay: try await Self.guesses(fixture)
    case .branchesMoveBetweenSessions: try await Self.branches(fixture)
    case .requestsThatMakeNoSenseAreRefused: try await Self.nonsense(fixture)
    case .nothingIsDoneAfterAShutDown: try await Self.shutDown(fixture)
    case .theBooksAgree: try await Self.books(fixture)
    case .theLimitsAgree: try await Self.limits(fixture)
    case .whatItSaysItCanItDoes: try await Self.capabilities(fixture)
    case .measuringLeavesNothing: try await Self.measuring(fixture)
    case .passesOfAllShapesAgree: try await Self.shapes(fixture)
    }
  }
}

extension VerificationRequest {
  init(
    _ session: UInt64, _ prefix: [TokenID], _ draft: DraftTree = DraftTree(),
    sampling: SamplingSettings = .greedy
  ) {
    self.init(session: SessionID(session), prefix: prefix, draft: draft, sampling: sampling)
  }
}

extension TargetModel {
  func choices(_ request: VerificationRequest) async throws -> [TargetChoice] {
    let pass = try await verify([request])
    try require(pass.results.count == 1, "\(pass.results.count) results for one request")
    return pass.results[0].choices
  }
}

// MARK: Answers

extension TargetCheck {
  private static let sampled = SamplingSettings(temperature: 0.8, topK: 40, topP: 0.95, minP: 0.02, seed: 99)

  /// To the bit where the engine says so; otherwise near-ties may fall either way.
  private static func requireSame(
    _ engine: any TargetModel, _ a: TargetChoice, _ b: TargetChoice, _ note: String
  ) throws {
    let isSame =
      engine.capabilities.isDeterministic
      ? a == b : a.token == b.token || min(a.margin, b.margin) < nearTieMargin
    try require(isSame, "\(note): \(a) and \(b)")
  }

  private static func batches(_ fixture: EngineFixture<any TargetModel>) async throws {
    let engine = try await fixture.engine(for: .comparison)
    let source = EngineTexts(engine.model)
    var random = SplitMix64(seed: 1)
    var texts = (UInt64(0)..<3).map { source.text(12 + Int($0), $0) }
    for step in 0..<3 {
      let sampling = step == 1 ? sampled : .greedy
      let requests = texts.indices.map {
        VerificationRequest(UInt64($0), texts[$0], source.tree(2, &random), sampling: sampling)
      }
      let together = try await engine.verify(requests)
      try require(together.results.map(\.session) == requests.map(\.session), "results in another order")
      for (index, request) in requests.enumerated() {
        var alone = request
        alone.session = SessionID(9)
        let expected = try await engine.choices(alone)
        let choices = together.results[index].choices
        try require(choices.count == 3 && expected.count == 3, "\(choices.count) choices for 2 guesses")
        for (a, b) in zip(choices, expected) { try requireSame(engine, a, b, "step \(step), text \(index)") }
        await engine.release(SessionID(9))
        texts[index].append(expected[0].token)
      }
    }
  }

  private static func paths(_ fixture: EngineFixture<any TargetModel>) async throws {
    let engine = try await fixture.engine(for: .comparison)
    let source = EngineTexts(engine.model)
    var random = SplitMix64(seed: 2)
    let text = source.text(10, 1)
    for sampling in [SamplingSettings.greedy, sampled] {
      let draft = source.tree(6, &random)
      let choices = try await engine.choices(VerificationRequest(1, text, draft, sampling: sampling))
      var paths: [[TokenID]] = [[]]
      for (token, parent) in zip(draft.tokens, draft.parents) {
        paths.append(paths[Int(parent) + 1] + [token])
      }
      try require(choices.count == paths.count, "\(choices.count) choices for \(draft.count) guesses")
      for (choice, path) in zip(choices, paths) {
        let plain = try await engine.choices(VerificationRequest(2, text + path, sampling: sampling))
        try requireSame(engine, choice, plain[0], "after \(path)")
      }
    }
  }

  private static func tasks(_ fixture: EngineFixture<any TargetModel>) async throws {
    let engine = try await fixture.engine(for: .comparison)
    let source = EngineTexts(engine.model)
    try await withThrowingTaskGroup(of: (UInt64, TargetChoice).self) { group in
      for session in UInt64(0)..<4 {
        group.addTask {
          (session, try await engine.choices(VerificationRequest(session, source.text(9, session)))[0])
        }
      }
      var choices: [UInt64: TargetChoice] = [:]
      for try await (session, choice) in group { choices[session] = choice }
      for session in UInt64(0)..<4 {
        let alone = try await engine.choices(VerificationRequest(9, source.text(9, session)))
        try requireSame(engine, choices[session]!, alone[0], "task \(session)")
      }
    }
  }
}

// MARK: Prefixes

extension TargetCheck {
  private static func budget(_ fixture: EngineFixture<any TargetModel>) async throws {
    let engine = try await fixture.engine(for: .comparison)
    let source = EngineTexts(engine.model)
    var text = source.text(10, 1)
    text.append(try await engine.choices(VerificationRequest(1, text))[0].token)
    let prompt = source.text(50, 2)
    var passes = 0
    var answer: TargetChoice?
    while answer == nil {
      let pass = try await engine.verify(
        [VerificationRequest(2, prompt), VerificationRequest(1, text)], prefillBudget: 16)
      passes += 1
      try require(pass.tokens <= 16 + 2, "\(pass.tokens) tokens with a budget of 16")
      try require(pass.results[1].choices.count == 1, "pass \(passes) holds up a text that goes on")
      try require(passes <= 4, "a prompt of 50 is not read after 4 passes with a budget of 16")
      text.append(pass.results[1].choices[0].token)
      answer = pass.results[0].choices.first
    }
    try require(passes == 4, "a prompt of 50 is read in \(passes) passes with a budget of 16")
    let whole = try await engine.choices(VerificationRequest(3, prompt))
    try requireSame(engine, answer!, whole[0], "read in pieces and at once")
  }

  private static func noBudget(_ fixture: EngineFixture<any TargetModel>) async throws {
    let engine = try await fixture.engine()
    let source = EngineTexts(engine.model)
    var text = source.text(10, 1)
    text.append(try await engine.choices(VerificationRequest(1, text))[0].token)
    let pass = try await engine.verify(
      [
        VerificationRequest(2, source.text(5, 2), source.fan(2)), VerificationRequest(1, text, source.fan(2)),
        VerificationRequest(3, source.text(1, 3)),
      ], prefillBudget: 0)
    try require(
      pass.results.map(\.choices.count) == [0, 3, 1], "\(pass.results.map(\.choices.count)) choices")
    try require(pass.tokens == 4, "\(pass.tokens) tokens without a budget")
  }

  private static func acceptance(_ fixture: EngineFixture<any TargetModel>) async throws {
    let engine = try await fixture.engine()
    let source = EngineTexts(engine.model)
    let text = source.text(10, 1)
    let (a, b, c) = (source.token(1), source.token(2), source.token(3))
    // a, and below it b; beside it c, twice.
    let draft = DraftTree(tokens: [a, c, b, c], parents: [-1, -1, 0, -1])
    let first = try await engine.verify([VerificationRequest(1, text, draft)])
    try require(first.tokens == 13, "\(first.tokens) tokens for 10 and a tree of 3")
    try require(
      first.results[0].choices.count == 5, "\(first.results[0].choices.count) choices for 4 guesses")
    try require(first.results[0].choices[2] == first.results[0].choices[4], "equal siblings differ")
    let second = try await engine.verify([VerificationRequest(1, text + [a, b, c], source.fan(1))])
    try require(second.tokens == 2, "\(second.tokens) tokens where two guesses came true")
    let again = try await engine.verify([VerificationRequest(1, text + [a, b, c])])
    try require(again.tokens == 1, "\(again.tokens) tokens for the same text once more")
  }

  private static func sharing(_ fixture: EngineFixture<any TargetModel>) async throws {
    var choices: [TargetChoice] = []
    for sharesPrefixes in [false, true] {
      let engine = try await fixture.engine { $0.sharesPrefixes = sharesPrefixes }
      let source = EngineTexts(engine.model)
      let text = source.text(40, 1)
      _ = try await engine.verify([VerificationRequest(1, text)])
      // From an open session, then from a released one.
      for session in UInt64(2)...3 {
        let longer = text + [source.token(Int(session)), source.token(7)]
        let pass = try await engine.verify([VerificationRequest(session, longer)])
        let result = pass.results[0]
        let reused = sharesPrefixes ? 40 : 0
        try require(result.reusedPrefix == reused, "\(result.reusedPrefix) reused, not \(reused)")
        try require(pass.tokens == 42 - reused, "\(pass.tokens) tokens of 42, \(reused) of them reused")
        if sharesPrefixes {
          try requireSame(engine, result.choices[0], choices[Int(session) - 2], "read and reused")
        } else {
          choices += result.choices
        }
        await engine.release(SessionID(1))
        await engine.release(SessionID(2))
      }
    }
  }
}
