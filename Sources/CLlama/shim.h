// The C interface of llama.cpp and ggml, as one module. Only LlamaBackend imports it.
#ifndef WANSPEC_CLLAMA_SHIM_H
#define WANSPEC_CLLAMA_SHIM_H

#include <ggml.h>
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <gguf.h>
#include <llama.h>

/// Whether this library's attention follows the order of the text (dev/patches): a token's bits then do not depend on
/// what else is in its pass, and keys and values of 32 bits are not rounded.
static inline int wanspec_attends_in_order(void) {
#ifdef LLAMA_ATTENDS_IN_ORDER
  return 1;
#else
  return 0;
#endif
}

#ifdef __cplusplus
extern "C" {
#endif

// Guarded calls (CLlamaGuard): what a hostile file provokes on the calling thread, an exception or a failed assertion, is
// reported and comes back as the failure of the call.

/// Once, before any other: who hears why a guarded call failed.
void wanspec_guard_install(void (*report)(const char *reason));
/// gguf_init_from_file, tensors left out. NULL when it fails.
struct gguf_context *wanspec_read_header(const char *path);
/// llama_model_load_from_file. NULL when it fails.
struct llama_model *wanspec_load_model(const char *path, struct llama_model_params parameters);
/// llama_init_from_model. NULL when it fails.
struct llama_context *wanspec_open_context(struct llama_model *model, struct llama_context_params parameters);
/// llama_tokenize. INT32_MIN when it fails.
int32_t wanspec_tokenize(const struct llama_vocab *vocabulary, const char *text, int32_t length, llama_token *tokens,
                         int32_t capacity, bool add_special, bool parse_special);
/// llama_token_to_piece. 0 when it fails.
int32_t wanspec_piece(const struct llama_vocab *vocabulary, llama_token token, char *text, int32_t capacity,
                      bool special);
/// llama_model_quantize. 0 when it succeeds.
uint32_t wanspec_quantize(const char *input, const char *output, const llama_model_quantize_params *parameters);

// Chat templates (llama.cpp's common/chat): Jinja, the formats of tool calls and reasoning, and their parsers. JSON goes in
// and comes out, in UTF-8.

/// Text that the caller frees (`wanspec_free_text`): JSON, or the reason why there is none.
struct wanspec_text {
  char *bytes;
  size_t length;
  bool is_error;
};
void wanspec_free_text(struct wanspec_text text);

struct wanspec_chat;
struct wanspec_chat_parser;

/// Reads a template. NULL when it cannot be used, with the reason in `problem`.
///
/// `source` NULL: the model's own, which it must have.
struct wanspec_chat *wanspec_chat_open(const struct llama_model *model, const char *source, struct wanspec_text *problem);
void wanspec_chat_close(struct wanspec_chat *chat);
/// From a conversation to a prompt and to how the answer is to be read. Threads may call it at the same time.
struct wanspec_text wanspec_chat_render(const struct wanspec_chat *chat, const char *request, size_t length);

/// Reads an answer; `syntax` is a part of what `wanspec_chat_render` said. NULL as above.
struct wanspec_chat_parser *wanspec_chat_parser_open(const char *syntax, size_t length, struct wanspec_text *problem);
void wanspec_chat_parser_close(struct wanspec_chat_parser *parser);
/// What is new in an answer, all of whose text so far is given: [{"reasoning_content"} or {"content"} or {"index", "id",
/// "name", "arguments"}, ...]. O(text).
struct wanspec_text wanspec_chat_parser_read(struct wanspec_chat_parser *parser, const char *text, size_t length,
                                             bool is_complete);

#ifdef __cplusplus
}
#endif

#if defined(__linux__)
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// The C library declares these only under _GNU_SOURCE, which Swift's view of it lacks; hence the system calls.
// A mask has one bit per processor core, the lowest bit of the first byte being core 0.

/// Cores that the calling thread may use. Returns 0, or -1 with errno set.
static inline int wanspec_get_affinity(unsigned char *mask, size_t size) {
  for (size_t i = 0; i < size; i++) mask[i] = 0;
  return syscall(SYS_sched_getaffinity, 0, size, mask) < 0 ? -1 : 0;
}

/// Restricts the calling thread to cores. Returns 0, or -1 with errno set.
static inline int wanspec_set_affinity(const unsigned char *mask, size_t size) {
  return (int)syscall(SYS_sched_setaffinity, 0, size, mask);
}

/// Lets the calling thread run only on a core that no ordinary thread wants. Lowering oneself cannot be refused.
static inline void wanspec_schedule_when_idle(void) {
  struct sched_param none = {0};
  syscall(SYS_sched_setscheduler, 0, 5 /* SCHED_IDLE, declared under _GNU_SOURCE only */, &none);
}

/// Names the calling thread; 15 bytes are kept.
static inline void wanspec_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }
#endif

#endif
