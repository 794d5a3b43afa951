// Chunks, roll-ups and rows of the log with hostile bytes: an error, or something in order that
// is again the same when it is encoded and decoded.
#include <algorithm>
#include <cstdlib>

#include "twin/series/chunk.hpp"
#include "twin/series/log_row.hpp"
#include "twin/series/rollup.hpp"
#include "twin/series/samples.hpp"

namespace {

using namespace skerry::twin;
using namespace skerry::twin::series;

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

void check_chunk(std::string_view bytes, Workspace& workspace) {
  std::vector<StoredSample> samples;
  if (!decode_chunk(bytes, workspace, samples)) {
    return;
  }
  require(!samples.empty() && samples.size() <= chunk_samples_max);
  std::size_t text_bytes = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    require(i == 0 || samples[i - 1].timestamp <= samples[i].timestamp);
    const auto* text = std::get_if<std::string>(&samples[i].value);
    text_bytes += text != nullptr ? text->size() : 0;
  }
  if (text_bytes > 64 * 1024) {
    return;  // More than is ever encoded.
  }
  std::string again;
  encode_chunk(samples, workspace, again);
  std::vector<StoredSample> back;
  require(decode_chunk(again, workspace, back) && back.size() == samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    require(back[i].timestamp == samples[i].timestamp && back[i].flags == samples[i].flags &&
            same_value(back[i].value, samples[i].value));
  }
}

void check_rollup(std::string_view bytes, Workspace& workspace) {
  for (const Level level : {Level::minute, Level::hour, Level::day}) {
    std::vector<RollupBucket> buckets;
    if (decode_rollup(bytes, {level, 0}, workspace, buckets)) {
      require(!buckets.empty() && buckets.front().start >= 0 &&
              buckets.back().start < block_length(level));
    }
  }
}

void check_row(std::string_view bytes) {
  LogRowReader reader(bytes);
  if (reader.is_erasure()) {
    static_cast<void>(reader.erasure());
    return;
  }
  Sample sample;
  while (reader.next(sample)) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Workspace workspace;
  if (size == 0) {
    return 0;
  }
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      check_chunk(bytes, workspace);
      break;
    case 1:
      check_rollup(bytes, workspace);
      break;
    default:
      check_row(bytes);
      break;
  }
  return 0;
}
