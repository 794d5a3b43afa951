// Request targets: percent-decoding, taking apart and routing. What was decoded must be what a
// careful reader would decode, and every parameter must come from the segments.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.hpp"
#include "http/route.hpp"

namespace {

using namespace skerry::http;

boost::asio::awaitable<Response> nothing(const Request&) {
  co_return Response{};
}

const EndpointTable& table() {
  static const EndpointTable endpoints = {
      {"GET", "/", Guard::none, 0, &nothing},
      {"GET", "/api/v1/devices", Guard::none, 0, &nothing},
      {"GET", "/api/v1/devices/{id}", Guard::none, 0, &nothing},
      {"POST", "/api/v1/devices/{id}:suspend", Guard::none, 0, &nothing},
      {"GET", "/api/v1/devices/{id}/telemetry/latest", Guard::none, 0, &nothing},
      {"GET", "/{a}/{b}/{c}", Guard::none, 0, &nothing},
  };
  return endpoints;
}

void check_decoding(std::string_view raw) {
  std::string decoded;
  if (!percent_decode(raw, false, decoded)) {
    return;
  }
  SKERRY_ASSERT(decoded.size() <= raw.size());
  for (const char c : decoded) {
    SKERRY_ASSERT(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Router router{table()};
  const std::string_view raw{reinterpret_cast<const char*>(data), size};
  check_decoding(raw);
  const auto target = parse_target(raw);
  if (!target) {
    return 0;
  }
  SKERRY_ASSERT(target->segments.size() <= path_segments_max);
  SKERRY_ASSERT(target->query.size() <= query_pairs_max);
  for (const std::string& segment : target->segments) {
    SKERRY_ASSERT(!segment.empty() && segment != "." && segment != "..");
  }
  for (const char* method : {"GET", "HEAD", "POST", "BREW"}) {
    const auto match = router.match(method, *target);
    SKERRY_ASSERT(match.endpoint == nullptr || !match.allowed.empty());
    for (const auto& [name, value] : match.parameters) {
      SKERRY_ASSERT(!value.empty());
    }
  }
  return 0;
}
