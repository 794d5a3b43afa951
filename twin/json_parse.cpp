#include "twin/json_parse.hpp"

#include <algorithm>
#include <bit>

#include "base/limits.hpp"

namespace skerry::twin {
namespace {

constexpr TelemetryError empty_payload{"the payload is empty"};
constexpr TelemetryError too_large{"the payload is larger than a telemetry message may be"};

TelemetryError from_simdjson(simdjson::error_code error) noexcept {
  switch (error) {
    case simdjson::EMPTY:
      return empty_payload;
    case simdjson::CAPACITY:
      return too_large;
    case simdjson::DEPTH_ERROR:
      return {"objects are nested too deep"};
    case simdjson::UTF8_ERROR:
      return {"the payload is not valid UTF-8"};
    case simdjson::NUMBER_ERROR:
      return {"a number is malformed or too large"};
    default:
      return {"the payload is not JSON"};
  }
}

}  // namespace

Result<simdjson::dom::element, TelemetryError> JsonParser::parse(Bytes payload) {
  if (payload.empty()) {
    return empty_payload;
  }
  if (payload.size() > telemetry_payload_bytes_max) {
    return too_large;
  }
  if (parser_.capacity() < payload.size()) {
    const std::size_t capacity = std::max(std::bit_ceil(payload.size()), std::size_t{4096});
    if (parser_.allocate(capacity, depth_max_) != simdjson::SUCCESS) {
      return too_large;
    }
  }
  simdjson::dom::element root;
  const std::string_view text = as_text(payload);
  if (const auto error = parser_.parse(text.data(), text.size()).get(root)) {
    return from_simdjson(error);
  }
  return root;
}

}  // namespace skerry::twin
