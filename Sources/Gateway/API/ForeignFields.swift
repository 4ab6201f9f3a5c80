import StrictJSON

/// Fields that others know and nobody here reads, and with which values each is accepted.
///
/// A field that changes nothing about the text is a hint: any value is. One that would change the text, or asks for something
/// to be in the answer, is accepted with the values that ask for nothing; a client that wanted more has to be told.
package struct ForeignFields: Sendable {
  /// A value that asks for nothing.
  enum Neutral: Sendable {
    case flag(Bool)
    case number(Double)
    case text(String)
    case texts([String])
    /// A string, an array or an object with nothing in it.
    case empty
  }

  enum Rule: Sendable {
    case hint
    case only([Neutral])

    func accepts(_ node: JSONNode) -> Bool {
      switch self {
      case .hint: true
      case .only(let values): node.isNull || values.contains { $0.matches(node) }
      }
    }
  }

  var rules: [String: Rule] = [:]
  /// Whether a name that is not among them is an error for everybody.
  var isStrict = false

  package static let none = ForeignFields()
  /// Of an object that no other API has.
  package static let own = ForeignFields(isStrict: true)

  fileprivate func with(hints: [String]) -> ForeignFields {
    with(Dictionary(uniqueKeysWithValues: hints.map { ($0, Rule.hint) }))
  }

  fileprivate func with(_ values: [Neutral], _ names: [String]) -> ForeignFields {
    with(Dictionary(uniqueKeysWithValues: names.map { ($0, Rule.only(values)) }))
  }

  private func with(_ more: [String: Rule]) -> ForeignFields {
    ForeignFields(rules: rules.merging(more) { _, new in new })
  }
}

extension ForeignFields.Neutral {
  func matches(_ node: JSONNode) -> Bool {
    switch (self, node.value) {
    case (.flag(let flag), .bool(let own)): flag == own
    case (.number(let number), _): node.number == number
    case (.text(let text), .string(let own)): text == own
    case (.texts(let texts), .array(let own)):
      texts.count == own.count && zip(texts, own).allSatisfy { $1.isString($0) }
    case (.empty, .string(let text)): text.isEmpty
    case (.empty, .array(let elements)): elements.isEmpty
    case (.empty, .object(let members)): members.isEmpty
    default: false
    }
  }
}

extension ForeignFields {
  /// Of both endpoints that generate text.
  private static let generation = ForeignFields()
    // OpenAI's. A prediction and keys of caches make an answer faster, not another one.
    .with(hints: [
      "metadata", "prediction", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
      "safety_identifier", "service_tier", "store", "verbosity",
    ])
    .with([], ["moderation"])
    .with([.number(1)], ["best_of"])
    // What client libraries put into the body instead of keeping it.
    .with(hints: ["keep_alive", "timeout"])
    // vLLM's.
    .with(hints: [
      "include_reasoning", "media_io_kwargs", "mm_processor_kwargs", "priority", "request_id",
      "return_mm_kwargs",
      "routed_experts_prompt_start", "session_id", "spaces_between_special_tokens", "stream_interval",
      "truncation_side",
    ])
    .with([.flag(false), .empty], ["cache_salt", "ec_transfer_params", "kv_transfer_params", "vllm_xargs"])
    .with(
      [.flag(false)],
      [
        "include_stop_str_in_output", "return_prompt_text", "return_token_ids", "return_token_offsets",
        "return_tokens_as_token_ids", "use_beam_search", "watermarking",
      ]
    )
    .with([.flag(true)], ["skip_special_tokens"])
    .with([.flag(false)], ["prompt_logprobs"])
    .with([.number(0)], ["min_tokens"])
    .with([.number(0), .number(1)], ["length_penalty"])
    .with([], ["thinking_token_budget", "truncate_prompt_tokens"])
    .with(
      [.flag(false), .empty],
      [
        "allowed_token_ids", "bad_words", "guided_choice", "guided_grammar", "guided_json", "guided_regex",
        "logprob_token_ids", "repetition_detection", "stop_token_ids", "structured_outputs",
      ]
    )
    // llama-server's: where a prompt is kept, how work is cut, and settings of samplers that are off.
    .with(hints: [
      "adaptive_decay", "backend_sampling", "cache_prompt", "dry_allowed_length", "dry_base",
      "dry_penalty_last_n",
      "dry_sequence_breakers", "dynatemp_exponent", "id_slot", "mirostat_eta", "mirostat_tau",
      "n_cache_reuse",
      "n_discard", "n_keep", "preserved_tokens", "return_progress", "sse_ping_interval", "timings_per_token",
      "verbose", "xtc_threshold",
    ])
    .with(
      [.flag(false), .number(0)],
      [
        "dry_multiplier", "dynatemp_range", "mirostat", "n_indent", "n_probs", "post_sampling_probs",
        "return_tokens",
        "xtc_probability",
      ]
    )
    .with([.number(-1), .number(0)], ["t_max_predict_ms", "t_max_prompt_ms", "top_n_sigma"])
    .with([.number(-1)], ["adaptive_target"])
    .with([.number(1)], ["n_cmpl", "typ_p", "typical_p"])
    .with([.number(0), .number(1)], ["min_keep"])
    .with(
      [.flag(false), .empty],
      [
        "grammar_lazy", "grammar_triggers", "json_schema", "logits_all", "lora", "penalize_nl",
        "response_fields",
      ]
    )
    // Its own order, in which this server's samplers stand too.
    .with(
      [
        .empty,
        .texts([
          "penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature",
        ]),
      ], ["samplers"])

  package static let chat =
    generation
    .with([.flag(false)], ["add_special_tokens", "audio", "echo"])
    .with([.flag(false), .empty], ["documents"])
    .with([.flag(false)], ["web_search_options"])

  package static let completions = generation.with([.flag(true)], ["add_special_tokens"])

  /// Of `stream_options`. Padding against who counts bytes is no text.
  package static let streamOptions = ForeignFields()
    .with(hints: ["include_obfuscation"])
    .with([.flag(false)], ["continuous_usage_stats"])
}
