// Integers that cannot be mixed up: two ids never share a type.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace skerry {

template <typename Tag, typename Integer>
struct StrongId {
  Integer value{};

  constexpr auto operator<=>(const StrongId&) const = default;
};

/// Index of a core, 0 … cores − 1. Valid for one run only: never written to disk.
using CoreIndex = StrongId<struct CoreIndexTag, std::uint16_t>;

/// Number that a persistent session or an offline shared group keeps for life, across restarts.
/// 0 means "not persistent".
using DurableId = StrongId<struct DurableIdTag, std::uint64_t>;

/// Number of a stored message, unique in one data directory and growing with time. 0 means none.
using MessageId = StrongId<struct MessageIdTag, std::uint64_t>;

}  // namespace skerry

template <typename Tag, typename Integer>
struct std::hash<skerry::StrongId<Tag, Integer>> {
  std::size_t operator()(skerry::StrongId<Tag, Integer> id) const noexcept {
    return std::hash<Integer>{}(id.value);
  }
};
