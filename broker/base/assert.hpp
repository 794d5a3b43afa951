// SKERRY_ASSERT: checks that stay on in release builds. It states what our own code guarantees;
// it is never used on what a peer sent, because a peer must not be able to stop the server.
#pragma once

namespace skerry {

/// Prints the failed expression with its place to standard error and aborts. Never returns.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace skerry

#define SKERRY_ASSERT(expression)                       \
  (static_cast<bool>(expression) ? static_cast<void>(0) \
                                 : ::skerry::assertion_failed(#expression, __FILE__, __LINE__))
