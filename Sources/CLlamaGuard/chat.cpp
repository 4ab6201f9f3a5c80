// Chat templates by llama.cpp's own engine, behind a C interface. Templates come from model files and conversations from
// clients, so every call is guarded.
#include "guard.hpp"

#include "../CLlama/shim.h"

#include <llama-common/chat.h>
#include <llama-common/log.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

struct wanspec_chat {
  common_chat_templates_ptr templates;
};

struct wanspec_chat_parser {
  common_chat_parser_params syntax;
  /// What was read last.
  common_chat_msg message;
};

namespace {

using json = common_json;

wanspec_text text(const std::string &from, bool is_error) {
  char *bytes = static_cast<char *>(std::malloc(from.size() + 1));
  if (!bytes) return {nullptr, 0, true};
  std::memcpy(bytes, from.data(), from.size());
  bytes[from.size()] = 0;
  return {bytes, from.size(), is_error};
}

template <typename Body>
wanspec_text text_of(Body body) {
  return guarded_or([&] { return text(body(), false); }, [](const std::string &reason) { return text(reason, true); });
}

common_chat_templates_inputs inputs(const json &request, const common_chat_templates *templates) {
  common_chat_templates_inputs inputs;
  inputs.messages = common_chat_msgs_parse_oaicompat(request.at("messages"));
  if (request.contains("tools")) inputs.tools = common_chat_tools_parse_oaicompat(request.at("tools"));
  inputs.tool_choice = common_chat_tool_choice_parse_oaicompat(request.value("tool_choice", "auto"));
  inputs.parallel_tool_calls = request.value(
      "parallel_tool_calls", common_chat_templates_get_caps(templates)["supports_parallel_tool_calls"]);
  inputs.json_schema = request.value("json_schema", "");
  inputs.reasoning_format = common_reasoning_format_from_name(request.value("reasoning_format", "auto"));
  inputs.enable_thinking = request.value("enable_thinking", true);
  if (request.value("continue_final_message", false)) {
    inputs.continue_final_message = COMMON_CHAT_CONTINUATION_AUTO;
    inputs.add_generation_prompt = false;
  }
  if (request.contains("chat_template_kwargs")) {
    for (const auto &[key, value] : request.at("chat_template_kwargs").items()) {
      inputs.chat_template_kwargs[key] = value.dump();
    }
  }
  return inputs;
}

json triggers(const common_chat_params &parameters) {
  json all = json::array();
  for (const auto &trigger : parameters.grammar_triggers) {
    const char *kind = trigger.type == COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN        ? "pattern"
                       : trigger.type == COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN_FULL ? "whole"
                                                                                  : "word";
    all.push_back(json::object({{"kind", kind}, {"value", trigger.value}}));
  }
  return all;
}

json rendered(const common_chat_params &parameters, const common_chat_templates_inputs &inputs) {
  json syntax = json::object({
      {"format", static_cast<int>(parameters.format)},
      {"reasoning_format", static_cast<int>(inputs.reasoning_format)},
      {"generation_prompt", parameters.generation_prompt},
      {"parse_tool_calls", !inputs.tools.empty() && inputs.tool_choice != COMMON_CHAT_TOOL_CHOICE_NONE},
      {"is_continuation", inputs.continue_final_message != COMMON_CHAT_CONTINUATION_NONE},
      {"parser", parameters.parser},
  });
  return json::object({
      {"prompt", parameters.prompt},
      {"generation_prompt", parameters.generation_prompt},
      {"grammar", parameters.grammar},
      {"grammar_lazy", parameters.grammar_lazy},
      {"grammar_triggers", triggers(parameters)},
      {"preserved_tokens", parameters.preserved_tokens},
      {"additional_stops", parameters.additional_stops},
      {"supports_thinking", parameters.supports_thinking},
      {"thinking_start_tag", parameters.thinking_start_tag},
      {"thinking_end_tags", parameters.thinking_end_tags},
      {"syntax", syntax.dump()},
  });
}

json changed(const common_chat_msg_diff &difference) {
  json entry = json::object();
  if (!difference.reasoning_content_delta.empty()) entry["reasoning_content"] = difference.reasoning_content_delta;
  if (!difference.content_delta.empty()) entry["content"] = difference.content_delta;
  if (difference.tool_call_index != std::string::npos) {
    entry["index"] = difference.tool_call_index;
    entry["id"] = difference.tool_call_delta.id;
    entry["name"] = difference.tool_call_delta.name;
    entry["arguments"] = difference.tool_call_delta.arguments;
  }
  return entry;
}

}  // namespace

extern "C" {

void wanspec_free_text(struct wanspec_text text) { std::free(text.bytes); }

struct wanspec_chat *wanspec_chat_open(const struct llama_model *model, const char *source, struct wanspec_text *problem) {
  // It has a log of its own, which would write to the terminal; what matters comes back as a reason.
  static std::once_flag silenced;
  std::call_once(silenced, [] { common_log_set_verbosity_thold(-1); });
  return guarded_or(
      [&] { return new wanspec_chat{common_chat_templates_init(model, source ? source : "")}; },
      [&](const std::string &reason) -> wanspec_chat * {
        *problem = text(reason, true);
        return nullptr;
      });
}

void wanspec_chat_close(struct wanspec_chat *chat) { delete chat; }

struct wanspec_text wanspec_chat_render(const struct wanspec_chat *chat, const char *request, size_t length) {
  return text_of([&] {
    const auto wanted = inputs(json::parse(std::string(request, length)), chat->templates.get());
    return rendered(common_chat_templates_apply(chat->templates.get(), wanted), wanted).dump_safe();
  });
}

struct wanspec_chat_parser *wanspec_chat_parser_open(const char *syntax, size_t length, struct wanspec_text *problem) {
  return guarded_or(
      [&] {
        const json wanted = json::parse(std::string(syntax, length));
        auto parser = std::make_unique<wanspec_chat_parser>();
        parser->syntax.format = static_cast<common_chat_format>(wanted.at("format").get<int>());
        parser->syntax.reasoning_format = static_cast<common_reasoning_format>(wanted.at("reasoning_format").get<int>());
        parser->syntax.generation_prompt = wanted.value("generation_prompt", "");
        parser->syntax.parse_tool_calls = wanted.value("parse_tool_calls", false);
        parser->syntax.is_continuation = wanted.value("is_continuation", false);
        const std::string rules = wanted.value("parser", "");
        if (!rules.empty()) parser->syntax.parser.load(rules);
        // What was in the prompt already is not said again.
        if (parser->syntax.is_continuation) parser->message = common_chat_parse("", true, parser->syntax);
        return parser.release();
      },
      [&](const std::string &reason) -> wanspec_chat_parser * {
        *problem = text(reason, true);
        return nullptr;
      });
}

void wanspec_chat_parser_close(struct wanspec_chat_parser *parser) { delete parser; }

struct wanspec_text wanspec_chat_parser_read(struct wanspec_chat_parser *parser, const char *bytes, size_t length,
                                             bool is_complete) {
  return text_of([&] {
    auto message = common_chat_parse(std::string(bytes, length), !is_complete, parser->syntax);
    json all = json::array();
    // An unfinished text may be none of the format yet; then nothing is new.
    if (message.empty()) return all.dump();
    for (const auto &difference : common_chat_msg_diff::compute_diffs(parser->message, message)) {
      all.push_back(changed(difference));
    }
    parser->message = std::move(message);
    return all.dump_safe();
  });
}

}  // extern "C"
