#include "twin/series/chunk.hpp"

#include "base/assert.hpp"
#include "twin/series/time_column.hpp"
#include "twin/series/value_column.hpp"

namespace skerry::twin::series {
namespace {

bool read_header(ByteReader& in, ChunkHeader& header) {
  if (in.byte() != chunk_version) {
    return false;
  }
  header.first = in.signed_varint();
  const std::uint64_t length = in.varint();
  header.last = static_cast<std::int64_t>(static_cast<std::uint64_t>(header.first) + length);
  if (header.last < header.first) {
    return false;
  }
  header.totals = read_totals(in);
  return in.ok() && header.totals.count >= 1 && header.totals.count <= chunk_samples_max &&
         header.totals.numbers <= header.totals.count;
}

}  // namespace

void encode_chunk(std::span<const StoredSample> samples, Workspace& workspace, std::string& out) {
  SKERRY_ASSERT(!samples.empty() && samples.size() <= chunk_samples_max);
  std::vector<std::int64_t> times;
  std::vector<std::int64_t> flags;
  times.reserve(samples.size());
  flags.reserve(samples.size());
  Totals totals;
  for (const StoredSample& sample : samples) {
    times.push_back(sample.timestamp);
    flags.push_back(sample.flags);
    totals.add(sample.value);
  }
  out.push_back(static_cast<char>(chunk_version));
  append_signed(out, times.front());
  append_varint(
      out, static_cast<std::uint64_t>(times.back()) - static_cast<std::uint64_t>(times.front()));
  append_totals(out, totals);
  encode_integers(flags, TryZstd::no, workspace, out);
  encode_times(times, workspace, out);
  encode_values(samples, workspace, out);
}

bool read_chunk_header(std::string_view chunk, ChunkHeader& header) {
  ByteReader in(chunk);
  return read_header(in, header);
}

bool decode_chunk(std::string_view chunk, Workspace& workspace, std::vector<StoredSample>& out) {
  ByteReader in(chunk);
  ChunkHeader header;
  out.clear();
  if (!read_header(in, header)) {
    return false;
  }
  const auto count = static_cast<std::size_t>(header.totals.count);
  out.resize(count);
  std::vector<std::int64_t> column;
  if (!decode_integers(in, count, workspace, column)) {
    return false;
  }
  for (std::size_t i = 0; i < count; ++i) {
    out[i].flags = static_cast<std::uint8_t>(column[i]);
  }
  if (!decode_times(in, header.first, count, workspace, column) || column.back() != header.last) {
    return false;
  }
  for (std::size_t i = 0; i < count; ++i) {
    out[i].timestamp = column[i];
  }
  return decode_values(in, workspace, out) && in.at_end();
}

}  // namespace skerry::twin::series
