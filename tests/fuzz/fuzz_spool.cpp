// The spool's readers on whatever a card may give back: nothing is read beyond its end, and what
// counts as whole is exactly what would be written.
#include <string_view>

#include "device/limits.hpp"
#include "device/spool_format.hpp"
#include "base/assert.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace skerry::agent;
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  std::string_view rest = bytes;
  if (const auto header = decode_segment_header(bytes)) {
    SKERRY_ASSERT(bytes.starts_with(encode_segment_header(*header)));
    rest.remove_prefix(segment_header_bytes);
  }
  while (const auto record = decode_record(rest)) {
    SKERRY_ASSERT(record->body.size() <= record_bytes_max);
    SKERRY_ASSERT(rest.substr(0, record->bytes) == encode_record(record->time, record->body));
    rest.remove_prefix(record->bytes);
  }
  if (const auto position = decode_position(bytes)) {
    SKERRY_ASSERT(bytes.find(encode_position(*position)) != std::string_view::npos);
  }
  return 0;
}
