import SpeculationCore

extension CacheLedger {
  /// Everything that must hold between calls; the first breach as a sentence. O(sessions² · tokens): for tests.
  public var brokenInvariant: String? {
    let used = usage
    if used.cells > limits.cells { return "\(used.cells) cells of \(limits.cells) are in use" }
    if used.branches > limits.branches { return "\(used.branches) branches of \(limits.branches) are in use" }
    let caches =
      sessions.keys.sorted().map { ("\($0)", sessions[$0]!) } + retained.map { ("a released one", $0) }
    for (name, cache) in caches {
      if let problem = cache.brokenInvariant { return "\(name): \(problem)" }
      if cache.trunk.count > limits.contextLength { return "\(name) is longer than the context" }
      if cache.parts.contains(where: { $0.run > lastRun }) { return "\(name) holds a run that is not there" }
    }
    if let cache = retained.first(where: { !$0.guesses.isEmpty || $0.trunk.count < Self.leastShare }) {
      return "\(cache.trunk.count) tokens and \(cache.guesses.count) guesses of a released session are kept"
    }
    for (index, (nameA, a)) in caches.enumerated() {
      for (nameB, b) in caches[..<index] {
        if let problem = Self.disagreement(a, b) { return "\(nameA) and \(nameB): \(problem)" }
      }
    }
    return nil
  }

  /// Cells that two sessions have in common hold the same tokens at the same positions, after the same text.
  private static func disagreement(_ a: CachedSession, _ b: CachedSession) -> String? {
    let common = commonLength(a.trunk, b.trunk)
    for (start, part) in a.starts {
      for (otherStart, other) in b.starts where other.run == part.run {
        let end = start + min(part.count, other.count)
        if start != otherStart { return "run \(part.run) begins at \(start) and at \(otherStart)" }
        if end > common { return "\(end) tokens are shared, of \(common) that are equal" }
      }
    }
    return nil
  }
}

extension CachedSession {
  var brokenInvariant: String? {
    let held = parts.reduce(0) { $0 + $1.count }
    if held != trunk.count { return "\(held) cells for \(trunk.count) tokens" }
    if parts.contains(where: { $0.count < 1 }) { return "a part is empty" }
    if Set(parts.map(\.run)).count != parts.count { return "a run is held twice" }
    if trunk.isEmpty && !guesses.isEmpty { return "guesses below nothing" }
    for (index, guess) in guesses.enumerated() {
      if guess.parent < -1 || guess.parent >= index { return "guess \(index) is below \(guess.parent)" }
      if guesses[..<index].contains(where: { $0.parent == guess.parent && $0.token == guess.token }) {
        return "guess \(index) is there twice"
      }
    }
    return nil
  }

  /// The parts, each with the position where it begins.
  fileprivate var starts: [(start: Int, part: Part)] {
    var start = 0
    return parts.map { part in
      defer { start += part.count }
      return (start, part)
    }
  }
}
