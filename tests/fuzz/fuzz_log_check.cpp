// The check of the engine's log: any bytes are judged, nothing outside them is read, and a log that
// is cut off is never called damaged when the whole of it was not.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.hpp"
#include "storage/log_check.hpp"

using namespace skerry;
using State = storage::LogCheck::State;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view content(reinterpret_cast<const char*>(data), size);
  const storage::LogCheck check = storage::check_log(content);
  SKERRY_ASSERT(check.damaged_bytes <= content.size());
  SKERRY_ASSERT(check.state != State::damaged || check.first_damage < content.size());
  if (check.state != State::damaged && !content.empty()) {
    const std::size_t part = static_cast<std::size_t>(data[0]) * content.size() / 256;
    SKERRY_ASSERT(storage::check_log(content.substr(0, part)).state != State::damaged);
  }
  return 0;
}
