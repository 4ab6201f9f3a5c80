import CLlama
import ModelBackend
import SpeculationCore

/// A loaded model: its weights, its vocabulary and what it says of itself.
///
/// `@unchecked Sendable`: the C object is not changed after loading, and llama.cpp documents tokenization as
/// thread-safe. Contexts, which do change, belong to `LlamaContext`.
public final class LlamaModel: @unchecked Sendable {
  let handle: OpaquePointer
  let vocabulary: OpaquePointer
  public let path: String
  public let vocabularySize: Int
  /// Tokens of context the model was trained for.
  public let trainedContextLength: Int
  let architecture: String

  /// Loads a file on the calling thread.
  ///
  /// - Parameter stop: set from any thread, it makes loading give up
  /// - Throws: `ModelError` for a file that is missing, damaged, or a model that cannot be used here;
  ///   `CancellationError`
  init(path: String, options: LlamaOptions, stop: StopFlag) throws {
    LlamaLibrary.started
    architecture = try ModelFile.check(path)
    try LlamaModel.checkKind(path, architecture: architecture)
    self.path = path

    var parameters = llama_model_default_params()
    parameters.n_gpu_layers = Int32(clamping: options.gpuLayers)
    parameters.load_mode = options.memoryMap ? LLAMA_LOAD_MODE_MMAP : LLAMA_LOAD_MODE_NONE
    let watch = LoadingWatch(report: options.progress, stop: stop)
    parameters.progress_callback_user_data = Unmanaged.passUnretained(watch).toOpaque()
    parameters.progress_callback = { value, context in
      context.map { Unmanaged<LoadingWatch>.fromOpaque($0).takeUnretainedValue().goesOn(at: value) } ?? true
    }
    defer { withExtendedLifetime(watch) {} }
    LlamaLog.clear()
    guard let handle = wanspec_load_model(path, parameters) else {
      if stop.isSet { throw CancellationError() }
      throw LlamaModel.loadError(path, architecture: architecture)
    }
    guard let vocabulary = llama_model_get_vocab(handle) else {
      llama_model_free(handle)
      throw ModelError(.unsupportedModel, "\(path) has no vocabulary", hint: nil)
    }
    self.handle = handle
    self.vocabulary = vocabulary
    vocabularySize = Int(llama_vocab_n_tokens(vocabulary))
    trainedContextLength = Int(llama_model_n_ctx_train(handle))
  }

  deinit { llama_model_free(handle) }

  /// Reads the header and the vocabulary only, to refuse a model that cannot be used before its weights load.
  private static func checkKind(_ path: String, architecture: String) throws {
    var parameters = llama_model_default_params()
    parameters.vocab_only = true
    LlamaLog.clear()
    guard let handle = wanspec_load_model(path, parameters) else {
      throw loadError(path, architecture: architecture)
    }
    defer { llama_model_free(handle) }
    let reason: String? =
      if llama_model_is_recurrent(handle) || llama_model_is_hybrid(handle) {
        "keeps a recurrent state that cannot be rolled back to before a wrong guess"
      } else if llama_model_has_encoder(handle) || !llama_model_has_decoder(handle) {
        "has an encoder, not a plain decoder"
      } else if llama_model_is_diffusion(handle) {
        "writes text by diffusion, not token by token"
      } else if llama_vocab_type(llama_model_get_vocab(handle)) == LLAMA_VOCAB_TYPE_NONE {
        // llama.cpp asserts that nobody asks it for a token then.
        "has no vocabulary"
      } else {
        nil
      }
    if let reason {
      throw ModelError(
        .unsupportedModel, "\(path) (architecture \(architecture)) \(reason)",
        hint: "use a decoder-only transformer such as Llama or Qwen2")
    }
  }

  private static func loadError(_ path: String, architecture: String) -> ModelError {
    let lines = LlamaLog.recent()
    if lines.contains(where: { $0.contains("unknown model architecture") }) {
      return ModelError(
        .unsupportedModel,
        "\(path) has the architecture \"\(architecture)\", which llama.cpp \(LlamaSystem.version) does not know",
        hint: "use another model or a newer llama.cpp")
    }
    let cause = lines.first { $0.contains("error loading model") } ?? LlamaLog.cause() ?? "no reason given"
    return ModelError(
      .notAModel, "llama.cpp cannot load \(path): \(cause)",
      hint: "verify the file's checksum, or fetch it again")
  }
}

/// Asked between the tensors of a model that loads.
private final class LoadingWatch {
  private let report: (@Sendable (Float) -> Void)?
  private let stop: StopFlag

  init(report: (@Sendable (Float) -> Void)?, stop: StopFlag) {
    self.report = report
    self.stop = stop
  }

  func goesOn(at progress: Float) -> Bool {
    report?(progress)
    return !stop.isSet
  }
}

extension LlamaModel {
  /// What the model says of itself, for a context of `contextLength` tokens per session.
  func describe(contextLength: Int) -> ModelDescription {
    let fallback = path.split(separator: "/").last.map(String.init) ?? path
    return ModelDescription(
      name: metadata("general.name") ?? fallback,
      architecture: architecture,
      summary: summary,
      contextLength: contextLength,
      vocabulary: fingerprint(),
      endTokens: endTokens)
  }

  /// "1.5B BF16": the size that the file gives itself, or else the count of parameters, and the number format.
  private var summary: String {
    // "llama 256M Q4_K - Medium": the middle is the library's guess from the number of layers, often wrong.
    let words = (read { llama_model_desc(handle, $0, $1) } ?? "").split(separator: " ").dropFirst(2)
    var format = words.first.map(String.init) ?? ""
    if let grade = words.last, words.count > 1, let letter = grade.first { format += "_\(letter)" }
    return [metadata("general.size_label") ?? parameterCount, format].filter { !$0.isEmpty }
      .joined(separator: " ")
  }

  private var parameterCount: String {
    let count = Double(llama_model_n_params(handle))
    let (scale, unit): (Double, String) = count >= 999.5e6 ? (1e9, "B") : (1e6, "M")
    let tenths = (count / scale * 10).rounded() / 10
    return (tenths >= 100 ? "\(Int(tenths.rounded()))" : "\(tenths)") + unit
  }

  /// A scalar of the file's metadata, as text.
  func metadata(_ key: String) -> String? {
    read { llama_model_meta_val_str(handle, key, $0, $1) }
  }

  /// Tokens that end a generation, ascending.
  var endTokens: [TokenID] {
    (0..<TokenID(clamping: vocabularySize)).filter { llama_vocab_is_eog(vocabulary, $0) }
  }

  private func fingerprint() -> VocabularyFingerprint {
    var specials = [llama_vocab_bos(vocabulary), llama_vocab_eos(vocabulary), llama_vocab_eot(vocabulary)]
    specials += endTokens
    return VocabularyFingerprint(size: vocabularySize, specials: specials) { token in
      piece(of: token, special: true)
    }
  }

  /// The bytes of a token; control tokens have some only when `special` is true.
  func piece(of token: TokenID, special: Bool) -> [UInt8] {
    guard token >= 0, Int(token) < vocabularySize else { return [] }
    var capacity: Int32 = 32
    while true {
      var needed: Int32 = 0
      let bytes = [UInt8](unsafeUninitializedCapacity: Int(capacity)) { buffer, count in
        buffer.withMemoryRebound(to: CChar.self) { text in
          needed = wanspec_piece(vocabulary, token, text.baseAddress, capacity, special)
        }
        count = max(0, Int(needed))
      }
      if needed >= 0 { return bytes }
      capacity = -needed
    }
  }

  /// Reads a string from a C function that returns its length and writes at most the size it is given.
  private func read(_ body: (UnsafeMutablePointer<CChar>?, Int) -> Int32) -> String? {
    var length: Int32 = 0
    var buffer = [CChar](repeating: 0, count: 256)
    length = body(&buffer, buffer.count)
    if length >= buffer.count {
      buffer = [CChar](repeating: 0, count: Int(length) + 1)
      length = body(&buffer, buffer.count)
    }
    guard length >= 0 else { return nil }
    return String(decoding: buffer.prefix(Int(length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
