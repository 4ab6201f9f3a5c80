import CLlama
import ModelBackend

/// What a GGUF file says before its weights, read in full and within the file's length.
///
/// llama.cpp trusts most of it: a number that is out of range is an assertion that fails, an allocation of gigabytes or
/// memory that is not there. What it would believe is checked here first.
final class ModelHeader {
  /// Larger than any model's; llama.cpp's own types hold 32 bits.
  static let mostTokens: UInt64 = 1 << 30

  private let file: OpaquePointer
  private let path: String

  /// - Throws: `ModelError.notAModel`
  init(path: String) throws {
    LlamaLog.clear()
    guard let file = wanspec_read_header(path) else {
      throw ModelError(
        .notAModel,
        "\(path) is a damaged or truncated GGUF file: \(LlamaLog.cause() ?? "its header is invalid")",
        hint: Self.fetchAgain)
    }
    self.file = file
    self.path = path
  }

  deinit { gguf_free(file) }

  static let fetchAgain = "fetch it again and verify its checksum"

  /// - Throws: `ModelError.notAModel` where the file is shorter than its tensors
  func checkLength(_ size: Int) throws {
    let start = UInt64(gguf_get_data_offset(file))
    for tensor in 0..<gguf_get_n_tensors(file) {
      let parts = [UInt64(gguf_get_tensor_offset(file, tensor)), UInt64(gguf_get_tensor_size(file, tensor))]
      let end = parts.reduce(start) { sum, part in
        let (next, overflow) = sum.addingReportingOverflow(part)
        return overflow ? .max : next
      }
      if end > UInt64(size) {
        throw ModelError(
          .notAModel, "\(path) is truncated: it has \(size) bytes of the \(end) that its header announces",
          hint: Self.fetchAgain)
      }
    }
  }

  /// - Throws: `ModelError.notAModel` where the file names none
  func architecture() throws -> String {
    guard let name = string("general.architecture") else {
      throw ModelError(
        .notAModel, "\(path) is a GGUF file that names no architecture",
        hint: "it may hold an adapter, not a model")
    }
    guard name.utf8.count <= 64, name.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw ModelError(
        .notAModel, "\(path) names an architecture that is none: \(LlamaLog.presentable(name.prefix(64)))",
        hint: Self.fetchAgain)
    }
    return name
  }

  /// Numbers that size what is allocated, against limits and against the tensors that the file has.
  ///
  /// - Throws: `ModelError.notAModel` that names the key
  func checkNumbers(_ architecture: String) throws {
    try check("\(architecture).context_length", within: 1...Self.mostTokens, "tokens")
    let tensors = UInt64(clamping: gguf_get_n_tensors(file))
    guard tensors > 0 else { return }
    // A layer has a tensor at least, a token and a dimension of the model an element of one.
    try check("\(architecture).block_count", within: 1...tensors, "layers, with \(tensors) tensors")
    let elements = largestTensor
    for key in ["\(architecture).vocab_size", "\(architecture).embedding_length"] {
      try check(key, within: 1...max(1, elements), "in tensors of at most \(elements) elements")
    }
    try checkFractions(architecture)
  }

  /// A pass would fail at these, on threads of llama.cpp's own.
  private func checkFractions(_ architecture: String) throws {
    for index in 0..<gguf_get_n_kv(file) where gguf_get_kv_type(file, index) == GGUF_TYPE_FLOAT32 {
      guard let key = gguf_get_key(file, index).map({ String(cString: $0) }),
        key.hasPrefix(architecture + ".")
      else { continue }
      let value = gguf_get_val_f32(file, index)
      if value.isFinite, value >= 0 || !key.hasSuffix("epsilon") { continue }
      throw ModelError(
        .notAModel, "\(path) says \(LlamaLog.presentable(key)) = \(value), which cannot be",
        hint: Self.fetchAgain)
    }
  }

  private var largestTensor: UInt64 {
    (0..<gguf_get_n_tensors(file)).map { tensor in
      let type = gguf_get_tensor_type(file, tensor)
      let blocks = UInt64(gguf_get_tensor_size(file, tensor)) / UInt64(max(1, ggml_type_size(type)))
      return blocks.multipliedReportingOverflow(by: UInt64(max(1, ggml_blck_size(type)))).partialValue
    }.max() ?? 0
  }

  private func check(_ key: String, within range: ClosedRange<UInt64>, _ what: String) throws {
    guard let value = number(key), !range.contains(value) else { return }
    throw ModelError(
      .notAModel, "\(path) says \(key) = \(value), which cannot be: 1 to \(range.upperBound) \(what)",
      hint: Self.fetchAgain)
  }

  /// A number of the types that llama.cpp accepts for counts; nil where there is none.
  private func number(_ key: String) -> UInt64? {
    let index = gguf_find_key(file, key)
    guard index >= 0, gguf_get_kv_type(file, index) == GGUF_TYPE_UINT32 else { return nil }
    return UInt64(gguf_get_val_u32(file, index))
  }

  private func string(_ key: String) -> String? {
    let index = gguf_find_key(file, key)
    guard index >= 0, gguf_get_kv_type(file, index) == GGUF_TYPE_STRING else { return nil }
    return gguf_get_val_str(file, index).map { String(cString: $0) }
  }
}
