import Testing

/// Everything here opens sockets and measures time, so the tests run one after the other.
@Suite(.serialized) struct ExchangeTests {}
