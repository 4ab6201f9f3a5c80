/// Two choices after the same tokens may differ if the margin of either is below this, where a target in
/// 32-bit floats makes them: it rounds differently for different batch shapes, by less than a thousandth.
/// Number formats that round activations differ by tenths; no test compares choices of such a target.
public let nearTieMargin: Float = 0.005
