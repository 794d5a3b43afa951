#include "twin/series/integer_column.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

#include "twin/series/bits.hpp"

namespace skerry::twin::series {
namespace {

enum class Form : std::uint8_t { constant, packed, packed_deltas, runs, compressed };

/// Below this a column is not worth an attempt with zstd: its own header takes a dozen bytes.
constexpr std::size_t zstd_bytes_min = 64;

/// A varint takes at most this.
constexpr std::size_t varint_bytes_max = 10;

std::int64_t wrapping_add(std::int64_t left, std::int64_t right) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(left) +
                                   static_cast<std::uint64_t>(right));
}

std::int64_t wrapping_subtract(std::int64_t left, std::int64_t right) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(left) -
                                   static_cast<std::uint64_t>(right));
}

/// How far `value` lies above `base`; base ≤ value.
std::uint64_t distance(std::int64_t base, std::int64_t value) noexcept {
  return static_cast<std::uint64_t>(value) - static_cast<std::uint64_t>(base);
}

struct Packing {
  std::int64_t base = 0;
  std::uint64_t scale = 1;
  unsigned width = 0;
};

Packing packing_of(std::span<const std::int64_t> values) noexcept {
  Packing packing;
  if (values.empty()) {
    return packing;
  }
  const auto [lowest, highest] = std::minmax_element(values.begin(), values.end());
  packing.base = *lowest;
  const std::uint64_t range = distance(*lowest, *highest);
  std::uint64_t common = range;
  for (std::size_t i = 0; i < values.size() && common > 1; ++i) {
    common = std::gcd(common, distance(packing.base, values[i]));
  }
  packing.scale = std::max<std::uint64_t>(common, 1);
  packing.width = static_cast<unsigned>(std::bit_width(range / packing.scale));
  return packing;
}

void append_packed(std::span<const std::int64_t> values, const Packing& packing, std::string& out) {
  append_signed(out, packing.base);
  append_varint(out, packing.scale);
  out.push_back(static_cast<char>(packing.width));
  BitWriter bits(out);
  if (packing.scale == 1) {  // Without the division in the usual case.
    for (const std::int64_t value : values) {
      bits.put(distance(packing.base, value), packing.width);
    }
  } else if (packing.width > 0) {
    for (const std::int64_t value : values) {
      bits.put(distance(packing.base, value) / packing.scale, packing.width);
    }
  }
  bits.finish();
}

bool read_packed(ByteReader& in, std::size_t count, std::vector<std::int64_t>& out) {
  const std::int64_t base = in.signed_varint();
  const std::uint64_t scale = in.varint();
  const unsigned width = in.byte();
  if (width > 64) {
    return false;
  }
  BitReader bits(in.take(packed_bytes(count, width)));
  if (!in.ok()) {
    return false;
  }
  for (std::size_t i = 0; i < count; ++i) {
    out.push_back(wrapping_add(base, static_cast<std::int64_t>(bits.get(width) * scale)));
  }
  return true;
}

std::size_t runs_in(std::span<const std::int64_t> values) noexcept {
  std::size_t runs = 1;
  for (std::size_t i = 1; i < values.size(); ++i) {
    runs += values[i] != values[i - 1] ? 1 : 0;
  }
  return runs;
}

void append_runs(std::span<const std::int64_t> values, std::size_t runs, std::string& out) {
  append_varint(out, runs);
  std::int64_t before = 0;
  for (std::size_t i = 0; i < values.size();) {
    std::size_t end = i + 1;
    while (end < values.size() && values[end] == values[i]) {
      ++end;
    }
    append_signed(out, wrapping_subtract(values[i], before));
    append_varint(out, end - i);
    before = values[i];
    i = end;
  }
}

bool read_runs(ByteReader& in, std::size_t count, std::vector<std::int64_t>& out) {
  std::uint64_t runs = in.varint();
  std::int64_t value = 0;
  for (; runs > 0 && in.ok(); --runs) {
    value = wrapping_add(value, in.signed_varint());
    const std::uint64_t length = in.varint();
    if (length > count - out.size()) {
      return false;
    }
    out.insert(out.end(), static_cast<std::size_t>(length), value);
  }
  return out.size() == count;
}

bool append_compressed(std::span<const std::int64_t> differences, std::size_t size_max,
                       Workspace& workspace, std::string& out) {
  workspace.bytes.clear();
  for (const std::int64_t difference : differences) {
    append_signed(workspace.bytes, difference);
  }
  if (!workspace.zstd.compress(workspace.bytes, workspace.compressed) ||
      workspace.compressed.size() >= size_max) {
    return false;
  }
  out.push_back(static_cast<char>(Form::compressed));
  append_varint(out, workspace.bytes.size());
  append_varint(out, workspace.compressed.size());
  out.append(workspace.compressed);
  return true;
}

bool read_compressed(ByteReader& in, std::size_t count, Workspace& workspace,
                     std::vector<std::int64_t>& out) {
  const std::uint64_t raw_size = in.varint();
  const std::string_view packed = in.take(in.varint());
  if (!in.ok() || raw_size > count * varint_bytes_max ||
      !workspace.zstd.decompress(packed, static_cast<std::size_t>(raw_size), workspace.bytes)) {
    return false;
  }
  ByteReader raw(workspace.bytes);
  std::int64_t value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    value = wrapping_add(value, raw.signed_varint());
    out.push_back(value);
  }
  return raw.ok() && raw.at_end();
}

/// The differences between neighbours, the first value as the first of them.
void take_differences(std::span<const std::int64_t> values, std::vector<std::int64_t>& out) {
  out.resize(values.size());
  std::int64_t before = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    out[i] = wrapping_subtract(values[i], before);
    before = values[i];
  }
}

}  // namespace

void encode_integers(std::span<const std::int64_t> values, TryZstd zstd, Workspace& workspace,
                     std::string& out) {
  const std::size_t runs = values.empty() ? 0 : runs_in(values);
  if (runs <= 1) {
    out.push_back(static_cast<char>(Form::constant));
    append_signed(out, values.empty() ? 0 : values.front());
    return;
  }
  const Packing plain = packing_of(values);
  take_differences(values, workspace.differences);
  const std::span<const std::int64_t> differences(workspace.differences);
  const Packing deltas = packing_of(differences.subspan(1));
  const std::size_t plain_size = packed_bytes(values.size(), plain.width);
  const std::size_t deltas_size = packed_bytes(values.size() - 1, deltas.width) + 1;
  const std::size_t runs_size = runs * 3;
  const std::size_t best = std::min({plain_size, deltas_size, runs_size});
  if (zstd == TryZstd::yes && best >= zstd_bytes_min &&
      append_compressed(differences, best, workspace, out)) {
    return;
  }
  if (best == plain_size) {
    out.push_back(static_cast<char>(Form::packed));
    append_packed(values, plain, out);
  } else if (best == deltas_size) {
    out.push_back(static_cast<char>(Form::packed_deltas));
    append_signed(out, values.front());
    append_packed(differences.subspan(1), deltas, out);
  } else {
    out.push_back(static_cast<char>(Form::runs));
    append_runs(values, runs, out);
  }
}

bool decode_integers(ByteReader& in, std::size_t count, Workspace& workspace,
                     std::vector<std::int64_t>& out) {
  out.clear();
  switch (static_cast<Form>(in.byte())) {
    case Form::constant:
      out.assign(count, in.signed_varint());
      return in.ok();
    case Form::packed:
      return read_packed(in, count, out);
    case Form::packed_deltas: {
      if (count == 0) {
        return false;
      }
      out.push_back(in.signed_varint());
      if (!read_packed(in, count - 1, out)) {
        return false;
      }
      std::partial_sum(out.begin(), out.end(), out.begin(), &wrapping_add);
      return true;
    }
    case Form::runs:
      return read_runs(in, count, out) && in.ok();
    case Form::compressed:
      return read_compressed(in, count, workspace, out);
  }
  return false;
}

}  // namespace skerry::twin::series
