/// Two choices after the same tokens may differ if the margin of either is below this, where the engine does not say that
/// its passes agree to the bit.
public let nearTieMargin: Float = 0.005
