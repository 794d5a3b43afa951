#include "twin/series/gorilla.hpp"

#include <bit>

#include "twin/series/bits.hpp"

namespace skerry::twin::series {
namespace {

/// Where the changed bits of an xored pair lie: from bit `low`, `size` of them.
struct Window {
  unsigned low = 0;
  unsigned size = 0;

  bool holds(std::uint64_t changed) const noexcept {
    return size != 0 && static_cast<unsigned>(std::countr_zero(changed)) >= low &&
           static_cast<unsigned>(std::bit_width(changed)) <= low + size;
  }
};

}  // namespace

void encode_gorilla(std::span<const std::uint64_t> values, std::string& out) {
  std::string stream;
  BitWriter bits(stream);
  std::uint64_t before = 0;
  Window window;
  for (const std::uint64_t value : values) {
    const std::uint64_t changed = value ^ before;
    before = value;
    if (changed == 0) {
      bits.put(0, 1);
      continue;
    }
    bits.put(1, 1);
    if (window.holds(changed)) {
      bits.put(0, 1);
    } else {
      window.low = static_cast<unsigned>(std::countr_zero(changed));
      window.size = static_cast<unsigned>(std::bit_width(changed)) - window.low;
      bits.put(1, 1);
      bits.put(64 - window.low - window.size, 6);
      bits.put(window.size - 1, 6);
    }
    bits.put(changed >> window.low, window.size);
  }
  bits.finish();
  append_varint(out, stream.size());
  out.append(stream);
}

bool decode_gorilla(ByteReader& in, std::size_t count, std::vector<std::uint64_t>& out) {
  BitReader bits(in.take(in.varint()));
  std::uint64_t before = 0;
  Window window;
  for (std::size_t i = 0; i < count && in.ok() && bits.ok(); ++i) {
    if (bits.get(1) != 0) {
      if (bits.get(1) != 0) {
        const auto zeros = static_cast<unsigned>(bits.get(6));
        window.size = static_cast<unsigned>(bits.get(6)) + 1;
        if (zeros + window.size > 64) {
          return false;
        }
        window.low = 64 - zeros - window.size;
      } else if (window.size == 0) {
        return false;
      }
      before ^= bits.get(window.size) << window.low;
    }
    out.push_back(before);
  }
  return in.ok() && bits.ok();
}

}  // namespace skerry::twin::series
