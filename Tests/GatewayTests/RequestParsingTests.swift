import Gateway
import SpeculationCore
import Testing

/// Bodies to requests, without a server.
struct RequestParsingTests {
  static let limits = GatewayLimits()

  static func chat(_ fields: String) -> String {
    #"{"messages":[{"role":"user","content":"hi"}]"# + (fields.isEmpty ? "" : ",") + fields + "}"
  }

  static func error(chat body: String) -> APIError? {
    do {
      _ = try ChatRequest(Array(body.utf8), limits: limits)
      return nil
    } catch {
      return error
    }
  }

  static func error(completion body: String) -> APIError? {
    do {
      _ = try CompletionRequest(Array(body.utf8), limits: limits)
      return nil
    } catch {
      return error
    }
  }

  /// Fields of a chat, the parameter that the error names, and part of its message.
  static let refused: [(String, String, String)] = [
    (#""temperature":"hot""#, "temperature", "must be a number, not a string"),
    (#""temperature":-0.1"#, "temperature", "between 0 and 100, not -0.1"),
    (#""top_p":-0.1"#, "top_p", "between 0 and 1, not -0.1"), (#""top_p":1.1"#, "top_p", "between"),
    (#""top_k":-2"#, "top_k", "between -1"), (#""top_k":1.5"#, "top_k", "an integer"),
    (#""min_p":2"#, "min_p", "between 0 and 1"),
    (#""max_tokens":0"#, "max_tokens", "1 or more, not 0"),
    (
      #""max_tokens":9223372036854775808"#, "max_tokens",
      "at most 9223372036854775807, not 9223372036854775808"
    ),
    (#""max_tokens":1e300"#, "max_tokens", "an integer"),
    (#""max_tokens":"5""#, "max_tokens", "an integer, not a string"),
    (#""max_completion_tokens":-1"#, "max_completion_tokens", "1 or more"),
    (#""max_completion_tokens":5,"max_tokens":6"#, "max_tokens", "two names of one limit"),
    (#""seed":1.5"#, "seed", "an integer"), (#""seed":99999999999999999999"#, "seed", "64 bits"),
    (#""stop":7"#, "stop", "a string or an array"), (#""stop":[""]"#, "stop[0]", "empty string"),
    (#""stop":["a",5]"#, "stop[1]", "a string, not an integer"),
    (#""stop":["1","2","3","4","5","6","7","8","9","a","b","c","d","e","f","g","h"]"#, "stop", "at most 16"),
    (#""n":0"#, "n", "between 1 and 16"), (#""n":17"#, "n", "between 1 and 16"),
    (#""n":true"#, "n", "an integer, not a boolean"),
    (#""logprobs":2"#, "logprobs", "a boolean"),
    (#""logprobs":true,"top_logprobs":21"#, "top_logprobs", "between 0 and 20"),
    (#""top_logprobs":2"#, "top_logprobs", "together with logprobs"),
    (#""logit_bias":[1]"#, "logit_bias", "an object"),
    (#""logit_bias":{"x":1}"#, "logit_bias.x", "no token id"),
    (#""logit_bias":{"-3":1}"#, "logit_bias.-3", "no token id"),
    (#""logit_bias":{"5":101}"#, "logit_bias.5", "between -100 and 100"),
    (#""logit_bias":{"5":1,"05":2}"#, "logit_bias.05", "twice"),
    (#""presence_penalty":2.1"#, "presence_penalty", "between -2 and 2"),
    (#""frequency_penalty":-3"#, "frequency_penalty", "between -2 and 2"),
    (#""repetition_penalty":0"#, "repetition_penalty", "between 0.01 and 10"),
    (#""repetition_penalty":1.1,"repeat_penalty":1.2"#, "repeat_penalty", "two names of one setting"),
    (#""response_format":"json""#, "response_format", "an object"),
    (#""response_format":{}"#, "response_format.type", "is missing"),
    (#""response_format":{"type":"xml"}"#, "response_format.type", "text, json_object or json_schema"),
    (#""response_format":{"type":"json_schema"}"#, "response_format.json_schema", "is missing"),
    (
      #""response_format":{"type":"json_schema","json_schema":{"schema":5}}"#,
      "response_format.json_schema.schema", "an object, not an integer"
    ),
    (#""response_format":{"type":"json_object"},"grammar":"root ::= x""#, "grammar", "both say"),
    (#""grammar":1"#, "grammar", "a string"),
    (#""stream":1"#, "stream", "a boolean"),
    (#""stream_options":{"include_usage":true}"#, "stream_options", "together with stream"),
    (
      #""stream":true,"stream_options":{"continuous_usage_stats":true}"#,
      "stream_options.continuous_usage_stats", "not supported"
    ),
    (#""stream":true,"stream_options":{"usage":true}"#, "stream_options.usage", "unknown field"),
    (#""user":5"#, "user", "a string"), (#""ignore_eos":1"#, "ignore_eos", "a boolean"),
    (#""tools":{}"#, "tools", "an array"), (#""tools":[5]"#, "tools[0]", "an object"),
    (#""tools":[{"type":"web_search"}]"#, "tools[0].type", "only function"),
    (#""tools":[{"type":"function"}]"#, "tools[0].function", "is missing"),
    (#""tools":[{"type":"function","function":{"name":""}}]"#, "tools[0].function.name", "1 to 64"),
    (#""tools":[{"type":"function","function":{"name":"a b"}}]"#, "tools[0].function.name", "1 to 64"),
    (
      #""tools":[{"type":"function","function":{"name":"f","parameters":[]}}]"#,
      "tools[0].function.parameters", "an object"
    ),
    (
      #""tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"f"}}]"#,
      "tools[1].function.name", "two tools called f"
    ),
    (#""tool_choice":"maybe""#, "tool_choice", "none, auto, required or a function"),
    (#""tool_choice":"required""#, "tool_choice", "there are no tools"),
    (#""tool_choice":{"type":"function"}"#, "tool_choice.function", "is missing"),
    (
      #""tool_choice":{"type":"function","function":{"name":"g"}}"#, "tool_choice.function.name",
      "no tool called g"
    ),
    (
      #""grammar":"root ::= [a]","tools":[{"type":"function","function":{"name":"f"}}]"#, "grammar",
      "together with tools"
    ),
    (#""reasoning_effort":"much""#, "reasoning_effort", "one of none"),
    (#""chat_template_kwargs":[]"#, "chat_template_kwargs", "an object"),
    (
      #""chat_template_kwargs":{"enable_thinking":"no"}"#, "chat_template_kwargs.enable_thinking", "a boolean"
    ),
    (#""continue_final_message":true"#, "continue_final_message", "no text of the assistant"),
    (#""add_generation_prompt":false"#, "add_generation_prompt", "opposite"),
    (#""functions":[{}]"#, "functions", "not supported"),
    (#""audio":{"voice":"x"}"#, "audio", "not supported"),
    (#""modalities":["text","audio"]"#, "modalities", "text only"),
    (#""best_of":2"#, "best_of", "not supported"),
    (#""n_predict":0"#, "n_predict", "1 or more"),
    (#""n_predict":1,"max_tokens":2"#, "n_predict", "two names"),
    (#""response_format":{"type":"json_object","schema":5}"#, "response_format.schema", "an object"),
    (#""repeat_last_n":64,"repeat_penalty":1.1"#, "repeat_last_n", "the whole text"),
    (#""skip_special_tokens":false"#, "skip_special_tokens", "not supported"),
    (#""add_special_tokens":true"#, "add_special_tokens", "not supported"),
    (#""mirostat":2"#, "mirostat", "not supported"), (#""typical_p":0.5"#, "typical_p", "not supported"),
    (#""samplers":["top_k"]"#, "samplers", "not supported"), (#""lora":[{"id":0}]"#, "lora", "not supported"),
    (#""truncate_prompt_tokens":1"#, "truncate_prompt_tokens", "not supported"),
    (#""moderation":{"model":"x"}"#, "moderation", "not supported"),
    (#""n_probs":2"#, "n_probs", "not supported"), (#""echo":true"#, "echo", "not supported"),
    (#""prompt":"x""#, "prompt", "/v1/completions"),
    (#""temprature":1"#, "temprature", "did you mean temperature?"),
    (#""max_token":1"#, "max_token", "did you mean max_tokens?"),
    (#""qwertyuiop":1"#, "qwertyuiop", "unknown field qwertyuiop"),
    (#""speculation":5"#, "speculation", "an object"),
    (#""speculation":{"mode":"fast"}"#, "speculation.mode", "one of auto, off, wan, local"),
    (#""speculation":{"width":-1}"#, "speculation.width", "between 0"),
    (#""speculation":{"price":-1}"#, "speculation.price", "between 0"),
    (#""speculation":{"mod":"off"}"#, "speculation.mod", "did you mean speculation.mode?"),
  ]

  @Test(arguments: refused)
  func aWrongFieldIsNamed(fields: String, param: String, message: String) throws {
    let error = try #require(Self.error(chat: Self.chat(fields)), "\(fields) was accepted")
    #expect(error.status == .badRequest)
    #expect(error.param == param, "\(error.message)")
    #expect(error.message.contains(message), "\(error.message)")
  }

  @Test(arguments: [
    (#"{}"#, "messages", "is missing"), (#"{"messages":[]}"#, "messages", "is empty"),
    (#"{"messages":"hi"}"#, "messages", "an array"), (#"{"messages":[5]}"#, "messages[0]", "an object"),
    (#"{"messages":[{"content":"x"}]}"#, "messages[0].role", "is missing"),
    (#"{"messages":[{"role":"tool","content":"x"}]}"#, "messages[0].tool_call_id", "no call"),
    (#"{"messages":[{"role":"bot","content":"x"}]}"#, "messages[0].role", "must be system, developer"),
    (#"{"messages":[{"role":"user"}]}"#, "messages[0].content", "is missing"),
    (#"{"messages":[{"role":"user","content":5}]}"#, "messages[0].content", "a string or an array"),
    (#"{"messages":[{"role":"user","content":"a\u0000b"}]}"#, "messages[0].content", "NUL"),
    (
      #"{"messages":[{"role":"user","content":"x"},{"role":"user","content":[{"type":"image_url","image_url":{}}]}]}"#,
      "messages[1].content[0].type", "reads text only"
    ),
    (
      #"{"messages":[{"role":"user","content":[{"type":"text","text":5}]}]}"#, "messages[0].content[0].text",
      "a string"
    ),
    (#"{"messages":[{"role":"user","content":"x","weight":1}]}"#, "messages[0].weight", "unknown field"),
    (
      #"{"messages":[{"role":"assistant","content":"x","tool_calls":[{}]}]}"#,
      "messages[0].tool_calls[0].function", "is missing"
    ),
    (
      #"{"messages":[{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{"}}]}]}"#,
      "messages[0].tool_calls[0].function.arguments", "not valid JSON"
    ),
    (
      #"{"messages":[{"role":"user","content":"x"},{"role":"tool","tool_call_id":"a","content":"y"}]}"#,
      "messages[1].tool_call_id", "no call"
    ),
  ])
  func wrongMessagesAreNamed(body: String, param: String, message: String) throws {
    let error = try #require(Self.error(chat: body), "\(body) was accepted")
    #expect(error.param == param, "\(error.message)")
    #expect(error.message.contains(message), "\(error.message)")
  }

  @Test(arguments: [
    (#"{}"#, "prompt", "is missing"), (#"{"prompt":5}"#, "prompt", "must be a string"),
    (#"{"prompt":[]}"#, "prompt", "empty array"), (#"{"prompt":[1,"a"]}"#, "prompt[1]", "a token id"),
    (#"{"prompt":["a",1]}"#, "prompt[1]", "a string or an array of tokens"),
    (#"{"prompt":[[1],[]]}"#, "prompt[1]", "empty array"), (#"{"prompt":[-1]}"#, "prompt[0]", "a token id"),
    (#"{"prompt":[99999999999]}"#, "prompt[0]", "a token id"),
    (#"{"prompt":"a","suffix":"b"}"#, "suffix", "not supported"),
    (#"{"prompt":"a","logprobs":true}"#, "logprobs", "an integer"),
    (#"{"prompt":"a","logprobs":1,"echo":true}"#, "echo", "not both"),
    (#"{"prompt":"a","messages":[]}"#, "messages", "/v1/chat/completions"),
    (#"{"prompt":"a\u0000"}"#, "prompt", "NUL"),
  ])
  func wrongPromptsAreNamed(body: String, param: String, message: String) throws {
    let error = try #require(Self.error(completion: body), "\(body) was accepted")
    #expect(error.param == param, "\(error.message)")
    #expect(error.message.contains(message), "\(error.message)")
  }

  @Test(arguments: [
    "", "\"tools\":[]", "\"tools\":null", "\"n\":1", "\"n\":1.0", "\"best_of\":1", "\"logit_bias\":{}",
    "\"stop\":null", "\"stop\":\"x\"", "\"stop\":[]", "\"response_format\":{\"type\":\"text\"}",
    "\"store\":false", "\"store\":true", "\"service_tier\":\"flex\"", "\"metadata\":{\"a\":\"b\"}",
    "\"safety_identifier\":\"s\",\"prompt_cache_key\":\"k\",\"prompt_cache_retention\":\"24h\"",
    "\"verbosity\":\"low\",\"prediction\":{\"type\":\"content\",\"content\":\"x\"}",
    "\"stream\":true,\"stream_options\":{\"include_obfuscation\":true}", "\"stream_options\":{}",
    "\"cache_prompt\":true,\"id_slot\":-1,\"n_cache_reuse\":0,\"return_progress\":true,\"timings_per_token\":true",
    "\"include_reasoning\":true,\"add_special_tokens\":false,\"skip_special_tokens\":true,\"priority\":0",
    "\"structured_outputs\":{},\"stop_token_ids\":[],\"audio\":null,\"json_schema\":null,\"best_of\":null",
    "\"max_tokens\":-1", "\"n_predict\":8,\"max_tokens\":8", "\"repeat_last_n\":64",
    "\"top_p\":0,\"timeout\":600",
    // What llama-server's own page sends.
    """
    "samplers":["penalties","dry","top_n_sigma","top_k","typ_p","top_p","min_p","xtc","temperature"],"typ_p":1,
    "dynatemp_range":0,"dynatemp_exponent":1,"xtc_probability":0,"xtc_threshold":0.1,"repeat_last_n":64,
    "repeat_penalty":1,"dry_multiplier":0,"dry_base":1.75,"dry_allowed_length":2,"dry_penalty_last_n":-1,
    "backend_sampling":false,"max_tokens":-1
    """,
    "\"modalities\":[\"text\"]", "\"tool_choice\":\"none\"", "\"stream\":false", "\"seed\":-1",
    "\"seed\":18446744073709551615", "\"top_k\":-1", "\"temperature\":0", "\"grammar\":\"\"",
    "\"parallel_tool_calls\":true", "\"user\":\"u\"", "\"metadata\":{}",
    "\"logprobs\":false,\"top_logprobs\":0",
  ])
  func neutralValuesAreAccepted(fields: String) {
    let error = Self.error(chat: Self.chat(fields))
    #expect(error == nil, "\(error?.message ?? "")")
  }

  @Test func fieldsArriveWhereTheyBelong() throws {
    let body = #"""
      {"model":"m","messages":[{"role":"developer","content":"a"},
      {"role":"user","content":[{"type":"text","text":"b"},{"type":"text","text":"c"}]}],
      "max_completion_tokens":9,"temperature":0.5,"top_p":0.9,"top_k":40,"min_p":0.1,"seed":-1,"stop":["x","yz"],
      "n":2,"logprobs":true,"top_logprobs":3,"logit_bias":{"7":-100,"3":2.5,"4":0},"presence_penalty":1,
      "frequency_penalty":-1,"repeat_penalty":1.5,"stream":true,"stream_options":{"include_usage":true},"user":"u",
      "response_format":{"type":"json_schema","json_schema":{"name":"s","strict":true,"schema":{"b":1, "a":2}}},
      "speculation":{"mode":"off","price":12.5,"width":8}}
      """#
    let request = try ChatRequest(Array(body.utf8), limits: Self.limits)
    let parameters = request.parameters
    #expect(request.conversation.messages.map(\.role) == ["system", "user"])
    #expect(request.conversation.messages.map(\.content) == ["a", "bc"])
    #expect(request.topLogprobs == 3)
    #expect(parameters.model == "m" && parameters.maxTokens == 9 && parameters.choices == 2)
    #expect(parameters.seed == .max && parameters.stop == [[0x78], [0x79, 0x7A]])
    #expect(parameters.isStreamed && parameters.includesUsage && parameters.user == "u")
    #expect(parameters.biases.map(\.token) == [3, 7] && parameters.biases.map(\.value) == [2.5, -100])
    #expect(parameters.format == .jsonSchema(Array(#"{"b":1, "a":2}"#.utf8)))
    #expect(parameters.speculation == SpeculationChoice(mode: .off, price: 12.5, width: 8))
    let sampling = parameters.sampling(promptLength: 11, choice: 1, seed: 41)
    #expect(sampling.seed == 42 && sampling.temperature == 0.5 && sampling.topK == 40)
    #expect(sampling.topP == 0.9 && sampling.minP == 0.1 && sampling.problem == nil)
    let adjustments = try #require(sampling.adjustments)
    #expect(adjustments.promptLength == 11 && adjustments.repetition == 1.5)
    #expect(adjustments.presence == 1 && adjustments.frequency == -1 && adjustments.biases.count == 2)
  }

  @Test func namesOfOtherServersMeanTheSame() throws {
    func parameters(_ fields: String) throws -> GenerationParameters {
      try ChatRequest(Array(Self.chat(fields).utf8), limits: Self.limits).parameters
    }
    #expect(try parameters(#""n_predict":7"#).maxTokens == 7)
    #expect(try parameters(#""max_tokens":-1"#).maxTokens == .max)
    #expect(
      try CompletionRequest(Array(#"{"prompt":"x","max_tokens":-1}"#.utf8), limits: Self.limits).parameters
        .maxTokens == .max)
    let format = try parameters(#""response_format":{"type":"json_object","schema":{"a":1}}"#).format
    #expect(format == .jsonSchema(Array(#"{"a":1}"#.utf8)))
    let likeliest = try parameters(#""top_p":0"#).sampling(promptLength: 1, choice: 0, seed: 1)
    #expect(likeliest.topP > 0 && likeliest.problem == nil)
  }

  @Test func settingsThatChangeNothingLeaveNoAdjustments() throws {
    let body = Self.chat(
      #""presence_penalty":0,"frequency_penalty":0,"repetition_penalty":1,"logit_bias":{"5":0}"#)
    let request = try ChatRequest(Array(body.utf8), limits: Self.limits)
    #expect(request.parameters.sampling(promptLength: 3, choice: 0, seed: 1).adjustments == nil)
    #expect(request.parameters.sampling(promptLength: 3, choice: 0, seed: 1).temperature == 1)
  }
}
