import SpeculationCore

/// The first frame of each side, both ways between the wire and Swift values.
enum Handshake {
  static func hello(_ worker: WorkerIntroduction, _ vocabulary: PeerVocabulary) -> Wanspec_V1_WorkerFrame {
    .with { frame in
      frame.hello = .with {
        $0.protocolMajor = UInt32(clamping: ProtocolVersion.current.major)
        $0.protocolMinor = UInt32(clamping: ProtocolVersion.current.minor)
        $0.softwareVersion = worker.softwareVersion
        $0.workerName = worker.name
        $0.site = worker.site
        $0.modelName = worker.modelName
        $0.modelSummary = worker.modelSummary
        $0.vocabulary = wire(vocabulary)
        $0.capacity = UInt32(clamping: worker.capacity)
        $0.passWidth = UInt32(clamping: worker.passWidth)
        $0.draftCost = worker.draftCost.points.map { point in
          .with {
            $0.size = UInt32(clamping: point.size)
            $0.microseconds = UInt32(clamping: point.duration.wholeNanoseconds / 1000)
          }
        }
      }
    }
  }

  /// The version comes first: a later major version may give every other field another meaning.
  static func version(of hello: Wanspec_V1_Hello) -> ProtocolVersion {
    ProtocolVersion(major: Int(hello.protocolMajor), minor: Int(hello.protocolMinor))
  }

  static func version(of welcome: Wanspec_V1_Welcome) -> ProtocolVersion {
    ProtocolVersion(major: Int(welcome.protocolMajor), minor: Int(welcome.protocolMinor))
  }

  static func read(
    _ hello: Wanspec_V1_Hello, _ limits: ExchangeLimits
  ) throws(FieldViolation) -> (WorkerIntroduction, PeerVocabulary) {
    let name = try FieldChecks.text(hello.workerName, atMost: limits.maximumNameBytes, "hello.worker_name")
    try FieldChecks.require(!name.isEmpty, "hello.worker_name", "is empty")
    for (value, field) in [(hello.capacity, "capacity"), (hello.passWidth, "pass_width")] {
      try FieldChecks.require(
        value >= 1 && value <= limits.maximumCapacity, "hello.\(field)",
        "is \(value): between 1 and \(limits.maximumCapacity) is allowed")
    }
    let introduction = WorkerIntroduction(
      name: name,
      site: try FieldChecks.text(hello.site, atMost: limits.maximumNameBytes, "hello.site"),
      modelName: try FieldChecks.text(hello.modelName, atMost: limits.maximumNameBytes, "hello.model_name"),
      modelSummary: try FieldChecks.text(
        hello.modelSummary, atMost: limits.maximumNameBytes, "hello.model_summary"),
      capacity: Int(hello.capacity), passWidth: Int(hello.passWidth),
      draftCost: try read(hello.draftCost),
      softwareVersion: try FieldChecks.text(
        hello.softwareVersion, atMost: limits.maximumNameBytes, "hello.software_version"))
    return (introduction, try read(hello.vocabulary, limits, "hello.vocabulary"))
  }

  /// Points of a cost curve. Nothing depends on their being true but where sessions are placed.
  private static func read(_ points: [Wanspec_V1_DraftCost]) throws(FieldViolation) -> CostCurve {
    let field = "hello.draft_cost"
    try FieldChecks.count(points.count, atMost: 64, field)
    var measured: [Int: Duration] = [:]
    var last: UInt32 = 0
    for (index, point) in points.enumerated() {
      try FieldChecks.require(
        point.size > last, "\(field)[\(index)].size", "is \(point.size): sizes are above 0 and ascend")
      try FieldChecks.require(
        (1...60_000_000).contains(point.microseconds), "\(field)[\(index)].microseconds",
        "is \(point.microseconds): between 1 and 60000000 is allowed")
      last = point.size
      measured[Int(point.size)] = .microseconds(Int64(point.microseconds))
    }
    return CostCurve(measured: measured)
  }

  static func welcome(
    _ controller: ControllerIntroduction, _ vocabulary: PeerVocabulary
  ) -> Wanspec_V1_ControllerFrame {
    .with { frame in
      frame.welcome = .with {
        $0.protocolMajor = UInt32(clamping: ProtocolVersion.current.major)
        $0.protocolMinor = UInt32(clamping: ProtocolVersion.current.minor)
        $0.softwareVersion = controller.softwareVersion
        $0.controllerName = controller.name
        $0.modelName = controller.modelName
        $0.modelSummary = controller.modelSummary
        $0.vocabulary = wire(vocabulary)
        $0.workerID = controller.worker.rawValue
        $0.pingIntervalMs = UInt32(clamping: Int(controller.pingInterval.inMilliseconds.rounded(.up)))
        $0.livenessTimeoutMs = UInt32(clamping: Int(controller.livenessTimeout.inMilliseconds.rounded(.up)))
        $0.maximumCandidates = UInt32(clamping: controller.maximumCandidates)
        $0.maximumContext = UInt32(clamping: controller.maximumContextLength)
      }
    }
  }

  static func read(
    _ welcome: Wanspec_V1_Welcome, _ limits: ExchangeLimits
  ) throws(FieldViolation) -> (ControllerIntroduction, PeerVocabulary) {
    try FieldChecks.require(welcome.workerID != 0, "welcome.worker_id", "is 0: it is above 0")
    let times = [
      (welcome.pingIntervalMs, "ping_interval_ms"), (welcome.livenessTimeoutMs, "liveness_timeout_ms"),
    ]
    for (value, field) in times {
      try FieldChecks.require(
        (1...3_600_000).contains(value), "welcome.\(field)", "is \(value): between 1 and 3600000 is allowed")
    }
    try FieldChecks.require(
      welcome.maximumCandidates >= 1, "welcome.maximum_candidates", "is 0: at least 1 is needed")
    try FieldChecks.require(
      welcome.maximumContext >= 1, "welcome.maximum_context", "is 0: at least 1 is needed")
    let introduction = ControllerIntroduction(
      name: try FieldChecks.text(
        welcome.controllerName, atMost: limits.maximumNameBytes, "welcome.controller_name"),
      modelName: try FieldChecks.text(
        welcome.modelName, atMost: limits.maximumNameBytes, "welcome.model_name"),
      modelSummary: try FieldChecks.text(
        welcome.modelSummary, atMost: limits.maximumNameBytes, "welcome.model_summary"),
      softwareVersion: try FieldChecks.text(
        welcome.softwareVersion, atMost: limits.maximumNameBytes, "welcome.software_version"),
      worker: WorkerID(welcome.workerID),
      pingInterval: .milliseconds(Int64(welcome.pingIntervalMs)),
      livenessTimeout: .milliseconds(Int64(welcome.livenessTimeoutMs)),
      maximumCandidates: Int(welcome.maximumCandidates),
      maximumContextLength: Int(welcome.maximumContext))
    return (introduction, try read(welcome.vocabulary, limits, "welcome.vocabulary"))
  }

  /// Why the two versions cannot work together; nil when they can.
  static func mismatch(controller: ProtocolVersion, worker: ProtocolVersion) -> String? {
    guard controller.major != worker.major else { return nil }
    return "protocol version mismatch: the controller speaks \(controller), the worker speaks \(worker); "
      + "run the same release of wanspec on both"
  }

  /// Why the two models cannot work together; nil when they can.
  static func mismatch(
    target: String, _ targetVocabulary: PeerVocabulary, draft: String, _ draftVocabulary: PeerVocabulary
  ) -> String? {
    guard let difference = targetVocabulary.difference(from: draftVocabulary) else { return nil }
    return "vocabulary mismatch: the controller's target \"\(target)\" and the worker's draft \"\(draft)\" "
      + "have different vocabularies (\(difference)); start the worker with a draft of the target's family"
  }

  private static func wire(_ vocabulary: PeerVocabulary) -> Wanspec_V1_Vocabulary {
    .with {
      $0.size = UInt32(clamping: vocabulary.size)
      $0.tokens = vocabulary.tokensHash
      $0.specialTokens = vocabulary.specialTokensHash
    }
  }

  private static func read(
    _ vocabulary: Wanspec_V1_Vocabulary, _ limits: ExchangeLimits, _ field: String
  ) throws(FieldViolation) -> PeerVocabulary {
    try FieldChecks.require(
      vocabulary.size >= 1 && vocabulary.size <= limits.maximumVocabulary, "\(field).size",
      "is \(vocabulary.size): between 1 and \(limits.maximumVocabulary) is allowed")
    return PeerVocabulary(
      size: Int(vocabulary.size),
      tokensHash: try FieldChecks.text(
        vocabulary.tokens, atMost: limits.maximumNameBytes, "\(field).tokens"),
      specialTokensHash: try FieldChecks.text(
        vocabulary.specialTokens, atMost: limits.maximumNameBytes, "\(field).special_tokens"))
  }
}
