/// Which prompts a pass reads, and which it leaves for a later one.
///
/// A prompt waits for one before it that this pass reads and that begins alike: the engine takes over what both have in
/// common once it is in the cache, instead of computing it twice.
///
/// Only where the engine shares prefixes (`CacheCapacity.sharesPrefixes`).
struct PromptReading {
  /// Tokens that two texts must have in common for one to wait: fewer are computed as soon as waited for.
  static let leastShare = 8

  private var prompts: [[TokenID]] = []

  /// Takes a prompt into the pass unless it has to wait. O(prompts times what they have in common).
  ///
  /// - Returns: whether it is in the pass
  mutating func admit(_ prompt: [TokenID]) -> Bool {
    if prompt.count <= Self.leastShare { return true }
    if prompts.contains(where: { commonLength($0, prompt) >= Self.leastShare }) { return false }
    prompts.append(prompt)
    return true
  }
}
