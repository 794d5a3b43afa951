// SenML packs from a hostile device, in JSON when the first byte is even and in CBOR when it is
// odd: the parser must refuse them or give samples within every cap, and none in another's name.
#include <cmath>

#include "base/limits.hpp"
#include "sample_checks.hpp"
#include "twin/senml.hpp"

namespace {

using namespace skerry;

using fuzz::require;

void check_sample(const twin::Sample& sample) {
  fuzz::check_caps(sample);
  require(!sample.key.starts_with("urn:"));
  if (const auto* real = std::get_if<double>(&sample.value)) {
    require(std::isfinite(*real));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static twin::SenmlParser parser;
  if (size == 0) {
    return 0;
  }
  const WallTime arrival = wall_from_epoch(1'700'000'000'000);
  const Bytes payload{data + 1, size - 1};
  const auto pack = data[0] % 2 == 0 ? parser.parse_json("d1", payload, arrival)
                                     : parser.parse_cbor("d1", payload, arrival);
  if (pack.has_error()) {
    require(pack.error().what[0] != '\0');
    return 0;
  }
  require(pack->samples.size() <= telemetry_samples_max);
  require(pack->units.empty() || pack->units.size() == pack->samples.size());
  for (const std::string_view unit : pack->units) {
    require(unit.size() <= telemetry_unit_bytes_max + 2);
  }
  for (const twin::Sample& sample : pack->samples) {
    check_sample(sample);
  }
  return 0;
}
