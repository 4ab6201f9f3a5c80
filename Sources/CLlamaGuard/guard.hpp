// Runs calls of llama.cpp so that whatever goes wrong in them is the call's failure. Shared by this target's files.
#pragma once

#include <exception>
#include <string>

/// While one lives, a failed assertion on this thread throws instead of ending the process.
class Guard {
 public:
  Guard();
  ~Guard();
  Guard(const Guard &) = delete;
  Guard &operator=(const Guard &) = delete;
};

/// The result of `body`, or what `failed` makes of the reason why there is none.
template <typename Body, typename Failed>
auto guarded_or(Body body, Failed failed) -> decltype(body()) {
  Guard guard;
  std::string reason;
  try {
    return body();
  } catch (const std::exception &error) {
    reason = error.what();
  } catch (...) {
    reason = "an exception without a reason";
  }
  return failed(reason);
}
