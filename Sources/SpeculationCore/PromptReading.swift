/// Which prompts a pass reads, and which it leaves for a later one.
///
/// A prompt waits for one before it that this pass reads, where both have more in common than any text that the target
/// has read already: the engine takes that over once it is in the cache, instead of computing it twice.
///
/// Only where the engine shares prefixes (`CacheCapacity.sharesPrefixes`).
struct PromptReading {
  /// Tokens in common that are worth waiting for: fewer are computed as soon.
  static let leastShare = 8

  private var prompts: [[TokenID]] = []

  /// Takes a prompt into the pass unless it has to wait. O(prompts times what they have in common).
  ///
  /// - Parameter cached: how many of its first tokens the target has read in other texts
  /// - Returns: whether it is in the pass
  mutating func admit(_ prompt: [TokenID], cached: () -> Int) -> Bool {
    if prompt.count <= Self.leastShare { return true }
    let common = prompts.map { commonLength($0, prompt) }.max() ?? 0
    if common >= Self.leastShare, common - cached() >= Self.leastShare { return false }
    prompts.append(prompt)
    return true
  }
}
