// JsonParser: one payload of a telemetry message to simdjson's tree, under the caps of all of them.
// Only for the .cpp files of the parsers: it brings simdjson along.
#pragma once

#include <simdjson.h>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "twin/telemetry_error.hpp"

namespace skerry::twin {

class JsonParser {
 public:
  /// `depth_max`: levels of nesting that the text may have.
  explicit JsonParser(std::size_t depth_max) : depth_max_(depth_max) {}

  /// The tree lives until the next call. Keeps its buffers, some 16 times the largest payload.
  Result<simdjson::dom::element, TelemetryError> parse(Bytes payload);

 private:
  std::size_t depth_max_;
  simdjson::dom::parser parser_;
};

}  // namespace skerry::twin
