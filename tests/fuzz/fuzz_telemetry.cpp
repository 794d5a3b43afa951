// Telemetry payloads from a hostile device: the parser must refuse or give samples within every
// cap, and what it gives must read back from a record as it was.

#include "base/limits.hpp"
#include "sample_checks.hpp"
#include "twin/sample_record.hpp"
#include "twin/telemetry_parser.hpp"

namespace {

using namespace skerry;

using fuzz::require;

void check_sample(const twin::Sample& sample) {
  fuzz::check_caps(sample);
  std::string value;
  twin::encode_sample(sample, value);
  std::string key = twin::series_prefix("d", sample.key);
  const twin::SamplePlace place{sample.timestamp, twin::tie_of(value)};
  twin::append_place(key, place);
  const auto record = twin::parse_record_key(key, 2);
  require(record && record->series == sample.key && record->place.timestamp == place.timestamp &&
          record->place.tie == place.tie);
  const auto stored = twin::decode_sample(value);
  require(stored && stored->flags == sample.flags);
  if (const auto* text = std::get_if<std::string_view>(&sample.value)) {
    require(std::get<std::string>(stored->value) == *text);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static twin::TelemetryParser parser;
  const auto samples = parser.parse({data, size}, wall_from_epoch(1'700'000'000'000));
  if (samples.has_error()) {
    require(samples.error().what[0] != '\0');
    return 0;
  }
  require(samples->size() <= telemetry_samples_max);
  for (const twin::Sample& sample : *samples) {
    check_sample(sample);
  }
  return 0;
}
