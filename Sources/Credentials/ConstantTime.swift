/// Compares secrets without telling by the time it takes how much of them agrees.
public enum ConstantTime {
  /// Whether both hold the same bytes. The time depends on the lengths only.
  public static func areEqual(_ a: some Collection<UInt8>, _ b: some Collection<UInt8>) -> Bool {
    var difference: UInt8 = a.count == b.count ? 0 : 1
    for (x, y) in zip(a, b) { difference |= x ^ y }
    return difference == 0
  }
}
