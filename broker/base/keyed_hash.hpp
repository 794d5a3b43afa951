// SipHash-2-4 under a key drawn at start: places sessions, topics and groups on cores and keeps
// hash tables safe from peers that choose their names so that all of them collide.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace skerry {

struct HashKey {
  std::array<std::uint64_t, 2> words{};
};

/// 64-bit SipHash-2-4 of `text` under `key`. O(length), no allocation, any thread.
std::uint64_t keyed_hash(HashKey key, std::string_view text) noexcept;

}  // namespace skerry
