import Benchmarking
import CommandSettings
import Console
import Gateway
import ModelBackend
import Serving
import SpeculationCore

/// Every setting of the program that has an environment variable, each declared once. Where commands have other defaults or
/// limits for the same thing, they stand side by side here.
///
/// Limits that several settings have together (a key needs its certificate) are checked by the commands.
enum Settings {
  static let json = Setting<Bool>("json", "One JSON object a line instead of text.")
  static let determinism = Setting<String>(
    "determinism", "Compare passes of this model in different shapes, to the bit.", "model")
  static let config = Setting<String>("config", "Settings, `key: value` for each flag.", "file")
}

// MARK: Models and engines

extension Settings {
  private static let modelNames = "a name of `wanspec models list` or a GGUF file"

  static let target = Setting<String>(
    "target", "Target model: \(modelNames).", "model", default: DefaultModels.target)
  static let draft = Setting<String>(
    "draft", "Draft model: \(modelNames).", "model", default: DefaultModels.draft)
  static let localDraft = Setting<String>(
    "draft", "Local draft model, for the local modes and for policies other than never.", "model",
    default: DefaultModels.draft)
  static let serverDraft = Setting<String>(
    "draft", "Local draft model, for `local` requests and for policies other than never.", "model",
    says: "none")

  static let context = Setting<Int>(
    "context", "Tokens a session may hold, prompt included.", "tokens", says: "4096 or the model's own",
    limits: SettingLimits(range: 16...1_048_576))
  static let threads = Setting<Int>(
    "threads", "Compute threads.", "n", says: "one for each pinned core",
    limits: SettingLimits(range: 1...512))
  static let gpuLayers = Setting<Int>(
    "gpu-layers", "Layers to place on the GPU, if there is one; negative: all.", "n", says: "all")
  static let cacheType = Setting<CacheType>(
    "cache-type", "How keys and values are kept: f16, bf16, q8_0, or f32.", "type",
    default: .f16)
  static let cpus = Setting<CoreList>(
    "cpus", "Cores to pin the engine to, such as 0 or 0-3.", "cores", says: "wherever the system likes")
  static let draftCPUs = Setting<CoreList>(
    "draft-cpus", "Cores to pin the local draft model to.", "cores", says: "wherever the system likes")
  static let workerCPUs = Setting<CoreList>(
    "worker-cpus", "Cores to pin the draft models to.", "cores", says: "wherever the system likes")
}

// MARK: Sampling

extension Settings {
  static let temperature = Setting<Float>(
    "temperature", "0 takes the most likely token.", "t", default: 0)
  static let topK = Setting<Int32>("top-k", "Choose among the k likeliest; 0: all.", "k", default: 0)
  static let topP = Setting<Float>(
    "top-p", "Choose among the likeliest that together reach p.", "p", default: 1)
  static let minP = Setting<Float>(
    "min-p", "Leave out tokens less likely than p times the best.", "p", default: 0)
  static let seed = Setting<UInt64>("seed", "Same seed, same text.", "n", default: 0)
}

// MARK: Speculation

extension Settings {
  static let mode = Setting<GenerationMode>("mode", "How to speculate.", "mode", default: .wan)
  static let policy = Setting<LocalPolicyArgument>(
    "policy",
    "When to draft locally beside the workers: \(LocalPolicyArgument.choices), the time that a local pass has to save.",
    "policy", default: LocalPolicyArgument(.never))
  static let policies = Setting.list(policy, default: [LocalPolicyArgument(.never)])
  static let draftLength = Setting<Int>(
    "draft-length", "Guesses before each verification in local-sequential mode.", "tokens",
    default: SpeculationSettings.defaultDraftLength,
    limits: SettingLimits(range: SpeculationSettings.draftLengths))
  static let verifyWidth = Setting<Int>(
    "verify-width", "Guesses in one target pass at most; the measured cost decides below that.", "nodes",
    isAutopilots: true, limits: SettingLimits(range: 1...128))
  static let lookup = Setting<Int>(
    "lookup",
    "Guesses in a row that are taken from the text itself, without any draft model, in wan and local-parallel mode.",
    "tokens", isAutopilots: true,
    limits: SettingLimits(range: SpeculationSettings.lookupLengths, lowest: "none"))
  static let minGain = Setting<Double>(
    "min-gain",
    "Pause drafting while it makes the text less than this many times as fast as plain, in wan and local-parallel mode.",
    "ratio", isAutopilots: true,
    limits: SettingLimits(range: SpeculationSettings.minGains, lowest: "never pause"))
  static let autopilot = Setting<Bool>(
    "autopilot", "Let measurements choose what is not set by hand; without, fixed values hold.", "",
    default: true, says: "--autopilot", parse: Setting.yesOrNo, text: { $0 ? "true" : "false" })
  static let speculation = Setting<SpeculationSwitch>(
    "speculation", "Whether answers are speculated unless a request says: auto or off.", "mode",
    default: .auto)
}

// MARK: Servers

extension Settings {
  static let host = Setting<String>("host", "Address of the HTTP API.", "address", default: "127.0.0.1")
  static let port = Setting<Int>(
    "port", "Port of the HTTP API.", "port", default: 8080,
    limits: SettingLimits(range: 0...65_535, lowest: "a free one"))
  static let alias = Setting<String>(
    "alias", "Name that clients ask for.", "name", says: "the target as it was named")
  static let apiKeyFile = Setting<String>(
    "api-key-file",
    "API keys that clients must show: a file of `wanspec keys`, or one key a line. Read again when it changes.",
    "file", says: "none, everybody may")
  static let noAuth = Setting<Bool>(
    "no-auth", "Serve whoever reaches the API, from other machines and web pages too.")
  static let sslCertificate = Setting<String>(
    "ssl-cert-file", "Certificate of the HTTP API, PEM, read again when it changes.", "file", says: "no TLS")
  static let sslKey = Setting<String>("ssl-key-file", "Its key, PEM.", "file")
  static let corsOrigin = Setting<String>(
    "cors-origin", "Web pages of this origin may call the API.", "origin", says: "none")
  static let chatTemplate = Setting<String>(
    "chat-template", "Chat template to use, a file of Jinja.", "file", says: "the model's own")
  static let chatTemplateArguments = Setting<String>(
    "chat-template-kwargs", "Variables of the chat template, a JSON object.", "json", says: "none")
  static let reasoningFormat = Setting<String>(
    "reasoning-format",
    "What becomes of a model's thoughts: a field of their own (auto, deepseek), or text as they come (none).",
    "format", default: "auto")
  static let strictFields = Setting<Bool>(
    "strict-fields",
    "Refuse requests with fields that nobody knows, instead of naming those in the answer's header.")
  static let maxBody = Setting<Int>(
    "max-body", "Bytes of a request at most, unpacked.", "bytes", default: GatewayLimits().bodyBytes,
    limits: SettingLimits(range: 1024...1 << 30))
  static let streamsPerKey = Setting<Int>(
    "streams-per-key", "Answers that one API key may have under way.", "n",
    default: GatewayLimits().streamsPerKey, limits: SettingLimits(range: 1...65_536))
  static let answersDrainTimeout = Setting<DurationArgument>(
    "drain-timeout", "How long answers under way may take to finish after SIGTERM.", "duration",
    default: .seconds(30))
  static let logPrompts = Setting<Bool>("log-prompts", "Write prompts and answers to the log.")
  static let jsonLogs = Setting<Bool>("json-logs", "Log one JSON object a line.")

  static let workerPort = Setting<ListenArgument>(
    "listen", "Where workers dial in; none takes no workers.", "host:port",
    default: ListenArgument(HostPort(host: "127.0.0.1", port: 7070)))
  static let workersPerSession = Setting<Int>(
    "workers-per-session", "Workers that draft for one answer at a time.", "n", default: 1,
    limits: SettingLimits(range: 1...8))
  static let workerTimeout = Setting<DurationArgument>(
    "worker-timeout", "A worker silent for this long counts as gone.", "duration", default: .seconds(3))
  static let sessions = Setting<Int>(
    "sessions", "Answers written at once.", "n", default: 8, limits: SettingLimits(range: 1...128))
  static let maxQueue = Setting<Int>(
    "max-queue", "Requests that wait; more get status 429.", "n", default: 128,
    limits: SettingLimits(range: 0...65_536))
  static let cacheTokens = Setting<Int>(
    "cache-tokens", "Tokens of all answers that the cache holds.", "tokens", default: 0,
    limits: SettingLimits(range: 0...1 << 26, lowest: "a full context for each"))
  static let prefillChunk = Setting<Int>(
    "prefill-chunk", "Tokens of prompts in one pass while other answers are being written.", "tokens",
    default: 512, limits: SettingLimits(range: 16...4096))
  static let audit = Setting<Percentage>(
    "audit",
    "Decide this share of the answers once more, with the target alone, when it has nothing else to do.",
    "percent", default: Percentage(share: 0), says: "0%")
  static let auditLog = Setting<String>(
    "audit-log", "Where answers go that an audit finds to be others, prompts included.", "file",
    default: "wanspec-audit.jsonl")
  static let auditStrict = Setting<Bool>(
    "audit-strict", "An answer that an audit finds to be wrong ends the server's readiness.")
  static let auditTarget = Setting<String>(
    "target", "The model to decide with, if not the one that the record names.", "model")
}

// MARK: Who may come in

extension Settings {
  static let insecure = Setting<Bool>("insecure", "Allow plaintext connections with other machines.")
  static let certs = Setting<String>(
    "certs", "Folder of `wanspec certs`: stands for all of the following.", "dir")
  static let controllerCertificate = Setting<String>(
    "tls-cert", "This controller's certificate, PEM.", "file")
  static let tlsKey = Setting<String>("tls-key", "Its key, PEM.", "file")
  static let workerAuthority = Setting<String>(
    "worker-ca", "Authority that certifies workers, PEM.", "file")
  static let allowedWorkers = Setting<String>(
    "worker-allow", "Workers that may attach by certificate.", "file", says: "all that --worker-ca certified")
  static let joinTokens = Setting<String>(
    "join-tokens", "Join tokens that let workers attach, a file of `wanspec tokens`.", "file")

  static let workerCerts = Setting<String>(
    "certs", "Folder with ca.pem and this worker's pair, as `wanspec certs` makes them.", "dir")
  static let controllerAuthority = Setting<String>(
    "tls-ca", "Authority that certified the controller, PEM.", "file", says: "with TLS, the system's")
  static let workerCertificate = Setting<String>("tls-cert", "This worker's certificate, PEM.", "file")
  static let serverName = Setting<String>(
    "tls-server-name", "Name in the controller's certificate, where it is not the host that is dialled.",
    "name")
  static let tokenFile = Setting<String>(
    "token-file", "File that holds the join token; the token itself may be in WANSPEC_JOIN_TOKEN.", "file")
}

// MARK: Credentials' own commands

extension Settings {
  static let certsFolder = Setting<String>(
    "certs", "The folder.", "dir", default: ".", says: "the current one")
  static let tokenStore = Setting<String>(
    "file", "The file of tokens.", "file", variable: "WANSPEC_JOIN_TOKENS")
  static let keyStore = Setting<String>("file", "The file of keys.", "file", variable: "WANSPEC_API_KEYS")
}

// MARK: Workers

extension Settings {
  static let connect = Setting.list(
    Setting<HostPort>("connect", "The controller; repeat it for several.", "host:port"),
    default: [HostPort(host: "127.0.0.1", port: 7070)])
  static let workerName = Setting<String>("name", "Name shown to operators.", "name", says: "the host's")
  static let site = Setting<String>("site", "Where it runs.", "site")
  static let passWidth = Setting<Int>(
    "pass-width", "Nodes in one draft pass at most; the measured cost decides below that.", "nodes",
    isAutopilots: true)
  static let candidates = Setting<Int>(
    "candidates", "Children kept for each node.", "n", isAutopilots: true)
  static let maxDepth = Setting<Int>("max-depth", "How far ahead to guess.", "tokens", isAutopilots: true)
  static let minPathProbability = Setting<Double>(
    "min-path-probability", "Stop where a guess is less likely than this to be used.", "p", isAutopilots: true
  )
  static let workerSessions = Setting<Int>(
    "sessions", "Sessions at once.", "n", default: 8, limits: SettingLimits(range: 1...64))
  static let workerDrainTimeout = Setting<DurationArgument>(
    "drain-timeout",
    "How long a worker that is to end goes on drafting for sessions that nobody takes over.", "duration",
    default: .seconds(10))
  static let nice = Setting<NiceArgument>(
    "nice",
    "How much drafting gives way to other work on this machine: 0 to 19, or idle for what nobody else wants.",
    "n", default: NiceArgument(.nice(5)))
  static let forget = Setting<Bool>(
    "forget", "Forget a session's text when it ends, instead of keeping it for one that begins alike.")
}

// MARK: One text, or many

extension Settings {
  static let promptFile = Setting<String>("prompt-file", "Read the prompt from a file.", "file")
  static let maxTokens = Setting<Int>(
    "max-tokens", "Tokens to generate at most.", "n", default: 256,
    limits: SettingLimits(range: 1...1_048_576))
  static let system = Setting<String>("system", "System message of the conversation.", "text")
  static let raw = Setting<Bool>(
    "raw", "Continue the prompt as it stands, without the model's chat template.")
  static let listen = Setting<HostPort>(
    "listen", "Where workers dial in, in wan mode.", "host:port",
    default: HostPort(host: "127.0.0.1", port: 7070))
  static let waitWorker = Setting<DurationArgument>(
    "wait-worker", "How long to wait for a worker before generating without.", "duration",
    default: .seconds(10))
  static let color = Setting<ColorChoice>(
    "color", "Colour by origin: auto, always or never.", "when", default: .auto)
  static let quiet = Setting<Bool>("quiet", "Text only: no figures, no notes.")

  static let prompts = Setting<String>("prompts", "Prompts, JSON lines.", "file")
  static let benchLimit = Setting<Int>(
    "limit", "Prompts at most, spread over the tasks.", "n", default: 24,
    limits: SettingLimits(range: 0...Int.max, lowest: "all", isOpen: true))
  static let traceLimit = Setting<Int>(
    "limit", "Prompts at most, spread over the tasks.", "n", default: 0,
    limits: SettingLimits(range: 0...Int.max, lowest: "all", isOpen: true))
  static let benchTokens = Setting<Int>(
    "max-tokens", "Tokens to generate for each prompt.", "n", default: 96,
    limits: SettingLimits(range: 2...100_000))
  static let traceTokens = Setting<Int>(
    "max-tokens", "Tokens to generate for each prompt.", "n", default: 192,
    limits: SettingLimits(range: 1...100_000))
  static let traceCandidates = Setting<Int>(
    "candidates", "Candidates of the draft to keep for each position.", "n", default: 16,
    limits: SettingLimits(range: 1...64))
  static let modes = Setting<ModeList>(
    "modes", "Modes, separated by commas: plain, local-sequential, local-parallel, wan.", "modes",
    default: ModeList(GenerationMode.allCases), says: "all")
  static let roundTrips = Setting.list(
    Setting<DurationArgument>(
      "rtt", "A round-trip time for wan mode; may be repeated.", "duration",
      problem: { $0.milliseconds > 60_000 ? "must be at most 60s, not \($0)" : nil }),
    default: [0, 30, 100].map { DurationArgument(nanoseconds: $0 * 1_000_000) })
  static let draftLengths = Setting<LengthList>(
    "draft-lengths", "Lengths for local-sequential, separated by commas.", "lengths", default: LengthList([5])
  )
  static let cache = Setting<BenchmarkCache>(
    "cache",
    "What every run of a prompt finds in the caches: cold, nothing at either end; warm, the prompt at both; worker-cold, the prompt at the target alone, as after a handover.",
    "state", variable: "WANSPEC_CACHE_STATE", default: .cold)
  static let repeats = Setting<Int>(
    "repeats",
    "How often to run every prompt through every configuration; the slowest prompt is then told by medians.",
    "n",
    default: 1, limits: SettingLimits(range: 1...100))
  static let predict = Setting<Bool>(
    "predict", "Then simulate the same configurations on the same texts, and print both side by side.")
  static let jsonFile = Setting<String>("json-file", "Write the JSON lines to a file too.", "file")
}

// MARK: Simulator and study

extension Settings {
  static let output = Setting<String>("output", "Folder for results, kept and continued.", "folder")
  static let jobs = Setting<Int>(
    "jobs", "Runs at the same time.", "n", says: "one for each core", limits: SettingLimits(range: 1...1024))

  static let source = Setting<String>(
    "source", "Which of the campaign's sources this is; needed where there are several.", "region")
  static let store = Setting<String>(
    "store", "The file that probes go into.", "file", says: "NAME-SOURCE.sqlite")
  static let maxUSD = Setting<Double>(
    "max-usd", "Stop before a request could bring the cost of this source above it.", "usd",
    limits: SettingLimits(range: 0...1e9))
  static let maxRequests = Setting<Int>(
    "max-requests", "Stop after so many requests of this source.", "n",
    limits: SettingLimits(range: 1...1_000_000_000))
  static let concurrency = Setting<Int>(
    "concurrency", "Probes at once of each target; more count as infinitely slow.", "n",
    says: "32, or the campaign's",
    limits: SettingLimits(range: 1...10_000))
  static let emulatorPort = Setting<HostPort>(
    "listen", "Address to listen on; port 0 takes a free one.", "host:port",
    default: HostPort(host: "127.0.0.1", port: 8100))
}

// MARK: Link

extension Settings {
  enum Link {
    static let listen = Setting<HostPort>(
      "listen", "Address to listen on; port 0 lets the system choose.", "host:port",
      variable: "WANSPEC_LINK_LISTEN", default: HostPort(host: "127.0.0.1", port: 7071))
    static let connect = Setting<HostPort>(
      "connect", "Address of the far end.", "host:port", variable: "WANSPEC_LINK_CONNECT",
      default: HostPort(host: "127.0.0.1", port: 7070))
    static let rtt = Setting<DurationArgument>(
      "rtt", "Round-trip time, half each way.", "duration", variable: "WANSPEC_LINK_RTT", says: "0 ms")
    static let delayUp = Setting<DurationArgument>(
      "delay-up", "One-way delay towards --connect.", "duration", variable: "WANSPEC_LINK_DELAY_UP")
    static let delayDown = Setting<DurationArgument>(
      "delay-down", "One-way delay back.", "duration", variable: "WANSPEC_LINK_DELAY_DOWN")
    static let jitter = Setting<JitterArgument>(
      "jitter", "Jitter of both directions, such as lognormal:2ms,0.5.", "jitter",
      variable: "WANSPEC_LINK_JITTER", says: "none")
    static let rate = Setting<RateArgument>(
      "rate", "Rate of each direction, such as 100mbit.", "rate", variable: "WANSPEC_LINK_RATE",
      says: "unlimited")
    static let loss = Setting<LossArgument>(
      "loss", "Share of segments lost in each direction, such as 0.1%.", "share",
      variable: "WANSPEC_LINK_LOSS", says: "none")
    static let outages = Setting.list(
      Setting<OutageArgument>(
        "outage", "START+DURATION[/EVERY][:reset], counted from the start of the link. May be repeated.",
        "outage", variable: "WANSPEC_LINK_OUTAGE"), default: [], says: "none")
    static let seed = Setting<UInt64>(
      "seed", "Seed of jitter and loss.", "n", variable: "WANSPEC_LINK_SEED", says: "0")
    static let model = Setting<String>(
      "model", "JSON file with a link description; other options replace what it says.", "file",
      variable: "WANSPEC_LINK_MODEL")
    static let reportEvery = Setting<DurationArgument>(
      "report-every", "Print figures this often while running.", "duration",
      variable: "WANSPEC_LINK_REPORT_EVERY", says: "at the end only")
    static let json = Setting<Bool>(
      "json", "Print one JSON object on each line.", variable: "WANSPEC_LINK_JSON")
  }
}
