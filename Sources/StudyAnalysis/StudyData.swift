import Foundation

/// The probes of a study as columns: what an analysis needs of them, and nothing else, so that millions fit.
public struct StudyData: Sendable {
  /// An endpoint and where it is.
  public struct Target: Sendable, Hashable {
    public var name: String
    public var region: Region

    public init(name: String, region: Region) {
      self.name = name
      self.region = region
    }
  }

  /// Times of one probe on a fresh connection, in seconds: +infinity where a failure means "longer than anything seen"
  /// (right-censored), NaN where there is no value.
  public struct Probe: Sendable {
    /// From the request's last byte to the first text.
    public var requestTTFT = Double.nan
    /// From the start of the probe to the first text: name lookup and handshakes too.
    public var coldTTFT = Double.nan
    public var nameLookup = Double.nan
    /// The TCP handshake.
    public var connect = Double.nan
    /// The TLS handshake.
    public var handshake = Double.nan
    /// The smallest round trip that the kernel saw on the connection.
    public var roundTrip = Double.nan
    /// Per output token after the first.
    public var timePerToken = Double.nan
    /// What the server claims to have taken to its first byte.
    public var serverFirstByte = Double.nan

    public init() {}
  }

  /// All probes of one source and one target on fresh connections, in the order of their slots: arrays have one element
  /// for each, with the meaning of `Probe`'s members.
  public struct Pair: Sendable {
    public var source: Int
    public var target: Int
    public private(set) var slots: [Int32] = []
    public private(set) var requestTTFT: [Double] = []
    public private(set) var coldTTFT: [Double] = []
    public private(set) var nameLookup: [Double] = []
    public private(set) var connect: [Double] = []
    public private(set) var handshake: [Double] = []
    public private(set) var roundTrip: [Double] = []
    public private(set) var timePerToken: [Double] = []
    public private(set) var serverFirstByte: [Double] = []

    /// - Parameters:
    ///   - source: index into the study's sources
    ///   - target: index into its targets
    public init(source: Int, target: Int) {
      self.source = source
      self.target = target
    }

    /// Appends a probe; slots ascend.
    public mutating func append(slot: Int, _ probe: Probe) {
      precondition(slots.last.map { $0 < slot } ?? true, "slots ascend")
      slots.append(Int32(slot))
      requestTTFT.append(probe.requestTTFT)
      coldTTFT.append(probe.coldTTFT)
      nameLookup.append(probe.nameLookup)
      connect.append(probe.connect)
      handshake.append(probe.handshake)
      roundTrip.append(probe.roundTrip)
      timePerToken.append(probe.timePerToken)
      serverFirstByte.append(probe.serverFirstByte)
    }
  }

  /// Probes that were not what they should have been, counted.
  public struct Exclusion: Sendable, Hashable {
    public var source: Int
    public var target: Int
    /// The outcome's name: "missed", "credentials", "timeout".
    public var outcome: String
    /// The detail of the first, for people.
    public var example: String?
    public var count: Int
    /// Whether they count as infinitely slow; otherwise they are left out.
    public var censored: Bool

    public init(source: Int, target: Int, outcome: String, example: String?, count: Int, censored: Bool) {
      self.source = source
      self.target = target
      self.outcome = outcome
      self.example = example
      self.count = count
      self.censored = censored
    }
  }

  public var name: String
  public var fingerprint: String
  /// Seconds.
  public var slotLength: Double
  /// Slots since 1970 that the study covers.
  public var slots: Range<Int>
  /// What to say of data that an emulator made; nil for measured data.
  public var emulated: String?
  /// Seconds after which a probe was given up.
  public var timeout: Double
  public var sources: [Region]
  public var targets: [Target]
  /// In the order of source, then target. Pairs without a probe may be missing.
  public var pairs: [Pair] = []
  public var exclusions: [Exclusion] = []
  /// Probes that were sent, on fresh connections and on used ones.
  public var sent = 0
  /// Probes whose answer came in fewer pieces than half its tokens: behind a buffer.
  public var bursts = 0
  public var usd = 0.0
  /// Largest age of the clock's last synchronisation, seconds; nil if unknown.
  public var clockAge: Double?

  public init(
    name: String, fingerprint: String, slotLength: Double, slots: Range<Int>, emulated: String?,
    timeout: Double,
    sources: [Region], targets: [Target]
  ) {
    self.name = name
    self.fingerprint = fingerprint
    self.slotLength = slotLength
    self.slots = slots
    self.emulated = emulated
    self.timeout = timeout
    self.sources = sources
    self.targets = targets
  }

  public func date(of slot: Int) -> Date { Date(timeIntervalSince1970: Double(slot) * slotLength) }

  /// From midnight UTC: 0 to less than 24.
  public func hour(of slot: Int) -> Double {
    (Double(slot) * slotLength / 3600).truncatingRemainder(dividingBy: 24)
  }
}
