#include "base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace skerry {

void assertion_failed(const char* expression, const char* file, int line) noexcept {
  std::fprintf(stderr, "skerry: assertion failed: %s at %s:%d\n", expression, file, line);
  std::abort();
}

}  // namespace skerry
