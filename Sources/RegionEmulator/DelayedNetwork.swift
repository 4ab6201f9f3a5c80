import Foundation
import NIOConcurrencyHelpers
import SplitMix
import StudyAnalysis

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A network device of this machine whose packets arrive late: TCP of the real kernel runs over it, so handshakes, windows
/// and the kernel's own round trips are as long as the file says.
///
/// Every source and every region has a local address (10.77.x.y) and an alias (10.78.x.y) that is routed into the device. A
/// source connects from its address to the alias of a region. What comes out of the device is readdressed, from the
/// source's alias to the region's address, held for half the round trip, and put back, where the kernel takes it for a
/// packet from outside; answers go the other way. Both addresses change by the same bit in opposite directions, so the
/// check sums stay right.
public final class DelayedNetwork: Sendable {
  /// Where to connect from, by source; where to connect to, by region.
  public let sourceAddresses: [String: String]
  public let regionAddresses: [String: String]
  private let device: TunDevice
  private let relay: PacketRelay

  /// Linux, as root.
  ///
  /// - Throws: `EmulatorError`
  public static func start(_ emulated: EmulatedRegions) throws -> DelayedNetwork {
    guard emulated.sources.count <= 250, emulated.sites.count <= 250 else {
      throw EmulatorError("a delaying network has room for 250 sources and 250 regions")
    }
    let device = try TunDevice()
    do {
      for index in emulated.sources.indices { try device.add("10.77.1.\(index + 1)/32") }
      for index in emulated.sites.indices { try device.add("10.77.2.\(index + 1)/32") }
      try device.route("10.78.0.0/16")
    } catch {
      device.close()
      throw error
    }
    var delays = [Int64](repeating: 0, count: emulated.sources.count * emulated.sites.count)
    for (s, source) in emulated.sources.enumerated() {
      for (r, site) in emulated.sites.enumerated() {
        let seconds = emulated.roundTrip(source.name, site.region.name) ?? 0
        delays[s * emulated.sites.count + r] = Int64(seconds / 2 * 1e9)
      }
    }
    let relay = PacketRelay(
      device, delays: delays, regions: emulated.sites.count, jitter: emulated.jitter, seed: emulated.seed)
    return DelayedNetwork(emulated, device, relay)
  }

  private init(_ emulated: EmulatedRegions, _ device: TunDevice, _ relay: PacketRelay) {
    self.device = device
    self.relay = relay
    sourceAddresses = Dictionary(
      uniqueKeysWithValues: emulated.sources.enumerated().map { ($1.name, "10.77.1.\($0 + 1)") })
    regionAddresses = Dictionary(
      uniqueKeysWithValues: emulated.sites.enumerated().map { ($1.region.name, "10.78.2.\($0 + 1)") })
    relay.start()
  }

  /// Takes the device away; packets under way are lost.
  public func stop() async {
    await relay.stop()
    device.close()
  }
}

/// Where a method of the same name is in the way.
private func closeDescriptor(_ descriptor: Int32) { _ = close(descriptor) }

/// A TUN device: packets that the kernel sends through it are read from a file, and what is written there arrives.
final class TunDevice: Sendable {
  let descriptor: Int32
  let name: String

  #if os(Linux)
    init() throws {
      descriptor = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK)
      guard descriptor >= 0 else { throw Self.error("cannot open /dev/net/tun") }
      // struct ifreq: 16 bytes of name, then flags: IFF_TUN (1) and IFF_NO_PI (0x1000). The kernel puts a number for %d.
      var request = [UInt8](repeating: 0, count: 40)
      request.replaceSubrange(0..<6, with: Array("wemu%d".utf8))
      request[16] = 0x01
      request[17] = 0x10
      let tunSetInterface: UInt = 0x4004_54CA
      guard ioctl(descriptor, tunSetInterface, &request) == 0 else {
        let error = Self.error("cannot make a network device")
        closeDescriptor(descriptor)
        throw error
      }
      name = String(decoding: request.prefix { $0 != 0 }, as: UTF8.self)
      do { try ip(["link", "set", name, "up", "mtu", "1500"]) } catch {
        // The device lives as long as its descriptor.
        closeDescriptor(descriptor)
        throw error
      }
    }

    func close() { closeDescriptor(descriptor) }
  #else
    init() throws {
      throw EmulatorError("a delaying network needs Linux; without --network, answers are held back")
    }
    func close() {}
  #endif

  func add(_ address: String) throws { try ip(["address", "add", address, "dev", name]) }
  func route(_ network: String) throws { try ip(["route", "add", network, "dev", name]) }

  private func ip(_ arguments: [String]) throws {
    let process = Process()
    let errors = Pipe()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["ip"] + arguments
    process.standardError = errors
    process.standardOutput = FileHandle.nullDevice
    do { try process.run() } catch { throw EmulatorError("cannot run ip: \(error)") }
    let message = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw EmulatorError(
        "ip \(arguments.joined(separator: " ")): "
          + String(decoding: message, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
          + "\n  hint: install iproute2, and run as root")
    }
  }

  private static func error(_ what: String) -> EmulatorError {
    EmulatorError("\(what): \(String(cString: strerror(errno)))\n  hint: run as root, or without --network")
  }
}

/// Reads packets, readdresses them, and puts them back when they are due. One thread.
final class PacketRelay: Sendable {
  private struct Packet {
    var due: Int64
    var bytes: [UInt8]
  }

  /// Packets of one pair in one direction, in the order in which they came and go.
  private struct Lane {
    private var packets: [Packet] = []
    private var sent = 0
    private var lastDue = Int64.min

    var next: Packet? { sent < packets.count ? packets[sent] : nil }

    /// - Parameter due: put off where the packet before is later, so that none overtakes
    mutating func add(due: Int64, _ bytes: [UInt8]) {
      lastDue = max(due, lastDue)
      packets.append(Packet(due: lastDue, bytes: bytes))
    }

    mutating func removeFirst() {
      sent += 1
      // In a steady stream it is never empty, so what went is dropped now and then: each packet is moved once, at most.
      if sent == packets.count || sent >= 1024 && sent * 2 >= packets.count {
        packets.removeFirst(sent)
        sent = 0
      }
    }
  }

  private let device: TunDevice
  /// One way, ns, for source × regions + region.
  private let delays: [Int64]
  private let regions: Int
  /// Mean of what a packet is late beyond its delay, seconds.
  private let jitter: Double
  private let seed: UInt64
  private let isStopping = NIOLockedValueBox(false)
  private let stopped = DispatchSemaphore(value: 0)

  init(_ device: TunDevice, delays: [Int64], regions: Int, jitter: Double, seed: UInt64) {
    self.device = device
    self.delays = delays
    self.regions = regions
    self.jitter = jitter
    self.seed = seed
  }

  func start() {
    let thread = Thread { [self] in
      run()
      stopped.signal()
    }
    thread.name = "wanspec-network"
    thread.start()
  }

  func stop() async {
    isStopping.withLockedValue { $0 = true }
    await withCheckedContinuation { continuation in
      // A semaphore may not block a cooperative thread.
      DispatchQueue.global().async { [stopped] in
        stopped.wait()
        continuation.resume()
      }
    }
  }

  private func run() {
    // One lane for each delay would do; pairs are few, and within one the order stays.
    var lanes = [Lane](repeating: Lane(), count: delays.count * 2)
    var random = SplitMix64(seed: seed)
    var buffer = [UInt8](repeating: 0, count: 2048)
    while !isStopping.withLockedValue({ $0 }) {
      var next = Int64.max
      let now = EmulationState.monotonicNow()
      for index in lanes.indices {
        while let packet = lanes[index].next {
          guard packet.due <= now else {
            next = min(next, packet.due)
            break
          }
          put(packet.bytes)
          lanes[index].removeFirst()
        }
      }
      wait(until: next)
      while true {
        let count = read(device.descriptor, &buffer, buffer.count)
        guard count > 0 else { break }
        guard let (lane, delay) = readdress(&buffer, count: count) else { continue }
        let late = jitter > 0 ? Int64(random.exponential(mean: jitter) * 1e9) : 0
        lanes[lane].add(due: EmulationState.monotonicNow() + delay + late, Array(buffer[..<count]))
      }
    }
  }

  /// Until a packet comes or one is due.
  private func wait(until due: Int64) {
    // Not longer, so that stopping is seen.
    let left = max(0, min(due == .max ? 100_000_000 : due - EmulationState.monotonicNow(), 100_000_000))
    if left >= 1_000_000 {
      var ready = pollfd(fd: device.descriptor, events: Int16(POLLIN), revents: 0)
      _ = poll(&ready, 1, Int32(left / 1_000_000))
    } else if left > 0 {
      // `poll` knows whole milliseconds only, and Swift's Glibc has no `ppoll`. A packet that comes meanwhile waits for 50 us
      // at most.
      var time = timespec(tv_sec: 0, tv_nsec: Int(min(left, 50_000)))
      nanosleep(&time, nil)
    }
  }

  private func put(_ bytes: [UInt8]) { _ = write(device.descriptor, bytes, bytes.count) }

  /// - Returns: the packet's lane and its delay; nil for what does not belong here
  private func readdress(_ packet: inout [UInt8], count: Int) -> (lane: Int, delay: Int64)? {
    // IPv4, with addresses at 12 and 16: [10, 77 or 78, 1 for a source or 2 for a region, number].
    guard count >= 20, packet[0] >> 4 == 4, packet[12] == 10, packet[13] == 77, packet[16] == 10,
      packet[17] == 78
    else {
      return nil
    }
    let (from, to) = (
      (kind: packet[14], number: Int(packet[15]) - 1), (kind: packet[18], number: Int(packet[19]) - 1)
    )
    let isRequest = from.kind == 1 && to.kind == 2
    guard isRequest || from.kind == 2 && to.kind == 1 else { return nil }
    let (source, region) = isRequest ? (from.number, to.number) : (to.number, from.number)
    guard source >= 0, (0..<regions).contains(region), source * regions + region < delays.count else {
      return nil
    }
    packet[13] = 78
    packet[17] = 77
    let pair = source * regions + region
    return (lane: 2 * pair + (isRequest ? 0 : 1), delays[pair])
  }
}
