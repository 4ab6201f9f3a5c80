import CLlama
import ModelBackend

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Converts a model file to another number format.
public enum LlamaQuantizer {
  private static let formats: [(name: String, type: llama_ftype)] = [
    ("f32", LLAMA_FTYPE_ALL_F32), ("f16", LLAMA_FTYPE_MOSTLY_F16), ("bf16", LLAMA_FTYPE_MOSTLY_BF16),
    ("q8_0", LLAMA_FTYPE_MOSTLY_Q8_0), ("q6_k", LLAMA_FTYPE_MOSTLY_Q6_K),
    ("q5_k_m", LLAMA_FTYPE_MOSTLY_Q5_K_M), ("q5_k_s", LLAMA_FTYPE_MOSTLY_Q5_K_S),
    ("q5_1", LLAMA_FTYPE_MOSTLY_Q5_1), ("q5_0", LLAMA_FTYPE_MOSTLY_Q5_0),
    ("q4_k_m", LLAMA_FTYPE_MOSTLY_Q4_K_M), ("q4_k_s", LLAMA_FTYPE_MOSTLY_Q4_K_S),
    ("q4_1", LLAMA_FTYPE_MOSTLY_Q4_1), ("q4_0", LLAMA_FTYPE_MOSTLY_Q4_0),
    ("q3_k_m", LLAMA_FTYPE_MOSTLY_Q3_K_M), ("q2_k", LLAMA_FTYPE_MOSTLY_Q2_K),
  ]

  /// Formats that `quantize` writes, largest first.
  public static var formatNames: [String] { formats.map(\.name) }

  /// Writes `input` in another format. Blocks the calling thread for seconds to minutes.
  ///
  /// The result gets its name only when it is complete, so an interrupted conversion leaves no model behind
  /// that looks whole. Formats that are already quantized are accepted; what they lost stays lost.
  ///
  /// - Parameter threads: 0 takes all processors.
  /// - Throws: `ModelError` for an unknown format, an unreadable input or an output that cannot be written.
  public static func quantize(input: String, output: String, format: String, threads: Int = 0) throws {
    LlamaLibrary.started
    guard let type = formats.first(where: { $0.name == format.lowercased() })?.type else {
      throw ModelError(
        .invalidRequest, "\(format) is not a format that can be written",
        hint: "one of \(formatNames.joined(separator: ", "))")
    }
    _ = try ModelFile.check(input)
    let temporary = "\(output).part-\(getpid())"
    var parameters = llama_model_quantize_default_params()
    parameters.ftype = type
    parameters.nthread = Int32(clamping: threads)
    parameters.allow_requantize = true
    LlamaLog.clear()
    guard wanspec_quantize(input, temporary, &parameters) == 0 else {
      let cause = LlamaLog.cause() ?? "no reason given"
      unlink(temporary)
      throw ModelError(
        .engineFailed, "cannot convert \(input) to \(format): \(cause)",
        hint: "check that the folder of \(output) can be written and has room")
    }
    guard rename(temporary, output) == 0 else {
      let reason = String(cString: strerror(errno))
      unlink(temporary)
      throw ModelError(.fileUnreadable, "cannot write \(output): \(reason)", hint: nil)
    }
  }
}
