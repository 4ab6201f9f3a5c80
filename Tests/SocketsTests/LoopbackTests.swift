import Sockets
import Testing

struct LoopbackTests {
  @Test(arguments: [
    "127.0.0.1", "127.255.0.3", "::1", "0::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "localhost",
    "LOCALHOST",
  ])
  func staysOnThisMachine(host: String) { #expect(Loopback.contains(host)) }

  @Test(arguments: [
    "128.0.0.1", "0.0.0.0", "::", "::2", "1::1", "::ffff:10.0.0.1", "::127.0.0.1", "127.evil.example",
    "localhost.example", "",
  ])
  func isAnotherMachine(host: String) { #expect(!Loopback.contains(host)) }
}
