// What holds of every sample, whichever form a device has sent it in.
#pragma once

#include <cstdlib>

#include "base/limits.hpp"
#include "twin/sample.hpp"

namespace skerry::fuzz {

inline void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

inline void check_caps(const twin::Sample& sample) {
  require(!sample.key.empty() && sample.key.size() <= telemetry_key_bytes_max);
  require(sample.key.find('\0') == std::string_view::npos);
  require(sample.timestamp >= twin::timestamp_min && sample.timestamp <= twin::timestamp_max);
  if (const auto* text = std::get_if<std::string_view>(&sample.value)) {
    require(text->size() <= telemetry_string_bytes_max);
  }
}

}  // namespace skerry::fuzz
