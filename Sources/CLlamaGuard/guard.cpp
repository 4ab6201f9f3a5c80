// Calls of llama.cpp that read what a model file says. Whatever goes wrong in them is an error of the file, and must not
// end the process: C++ exceptions, which may not pass through Swift, and failed assertions, which would abort.
#include "guard.hpp"

#include "../CLlama/shim.h"

#include <cstdio>
#include <stdexcept>

namespace {

void (*complain)(const char *) = nullptr;
thread_local int guards = 0;

/// "src/llama-model.cpp:1328: GGML_ASSERT(...) failed", without the folder it was built in.
std::string without_folder(const char *message) {
  const std::string text(message);
  const size_t slash = text.rfind('/', text.find(": "));
  return slash == std::string::npos ? text : text.substr(slash + 1);
}

/// llama.cpp calls this instead of printing, and aborts if it returns.
void on_assertion(const char *message) {
  if (guards > 0) throw std::runtime_error(without_folder(message));
  std::fprintf(stderr, "%s\n", message);
  // ggml's handler prints where it was.
  std::terminate();
}

template <typename Result, typename Body>
Result guarded(Result failed, Body body) {
  return guarded_or(body, [&](const std::string &reason) {
    if (complain) complain(reason.c_str());
    return failed;
  });
}

}  // namespace

Guard::Guard() { ++guards; }
Guard::~Guard() { --guards; }

extern "C" {

void wanspec_guard_install(void (*report)(const char *reason)) {
  complain = report;
  ggml_set_abort_callback(on_assertion);
}

struct gguf_context *wanspec_read_header(const char *path) {
  return guarded<gguf_context *>(nullptr, [&] { return gguf_init_from_file(path, {true, nullptr}); });
}

struct llama_model *wanspec_load_model(const char *path, struct llama_model_params parameters) {
  return guarded<llama_model *>(nullptr, [&] { return llama_model_load_from_file(path, parameters); });
}

struct llama_context *wanspec_open_context(struct llama_model *model, struct llama_context_params parameters) {
  return guarded<llama_context *>(nullptr, [&] { return llama_init_from_model(model, parameters); });
}

int32_t wanspec_tokenize(const struct llama_vocab *vocabulary, const char *text, int32_t length, llama_token *tokens,
                         int32_t capacity, bool add_special, bool parse_special) {
  return guarded<int32_t>(INT32_MIN, [&] {
    return llama_tokenize(vocabulary, text, length, tokens, capacity, add_special, parse_special);
  });
}

int32_t wanspec_piece(const struct llama_vocab *vocabulary, llama_token token, char *text, int32_t capacity,
                      bool special) {
  return guarded<int32_t>(0, [&] { return llama_token_to_piece(vocabulary, token, text, capacity, 0, special); });
}

uint32_t wanspec_quantize(const char *input, const char *output, const llama_model_quantize_params *parameters) {
  return guarded<uint32_t>(1, [&] { return llama_model_quantize(input, output, parameters); });
}

}  // extern "C"
