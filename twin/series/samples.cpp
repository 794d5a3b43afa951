#include "twin/series/samples.hpp"

#include <algorithm>
#include <bit>

#include "base/byte_order.hpp"
#include "base/keyed_hash.hpp"

namespace skerry::twin::series {
namespace {

/// Fixed because the order of samples is on disk. Who makes two values collide loses nothing: they
/// are told apart by the values, and their order does not matter.
constexpr HashKey tie_key{{0x736b657272792d74ull, 0x6965732d76322d30ull}};

std::uint64_t hash_of(ValueType type, std::string_view bytes) noexcept {
  HashKey key = tie_key;
  key.words[0] ^= static_cast<std::uint8_t>(type);
  return keyed_hash(key, bytes);
}

}  // namespace

bool same_value(const StoredValue& left, const StoredValue& right) noexcept {
  if (left.index() != right.index()) {
    return false;
  }
  if (const auto* real = std::get_if<double>(&left)) {
    return std::bit_cast<std::uint64_t>(*real) ==
           std::bit_cast<std::uint64_t>(std::get<double>(right));
  }
  return left == right;
}

std::uint64_t tie_of(const StoredValue& value) {
  const ValueType type = type_of(value);
  std::string bytes;
  switch (type) {
    case ValueType::integer:
      append_big_endian(bytes, std::get<std::int64_t>(value));
      return hash_of(type, bytes);
    case ValueType::real:
      append_big_endian(bytes, std::bit_cast<std::uint64_t>(std::get<double>(value)));
      return hash_of(type, bytes);
    case ValueType::boolean:
      return hash_of(type, std::get<bool>(value) ? "1" : "0");
    case ValueType::text:
      return hash_of(type, std::get<std::string>(value));
  }
  return 0;
}

std::size_t sort_and_collapse(std::vector<StoredSample>& samples) {
  const auto by_time = [](const StoredSample& left, const StoredSample& right) {
    return left.timestamp < right.timestamp;
  };
  if (!std::is_sorted(samples.begin(), samples.end(), by_time)) {
    std::stable_sort(samples.begin(), samples.end(), by_time);
  }
  const auto neighbours = std::adjacent_find(
      samples.begin(), samples.end(), [](const StoredSample& left, const StoredSample& right) {
        return left.timestamp == right.timestamp;
      });
  if (neighbours == samples.end()) {
    return 0;
  }
  std::stable_sort(neighbours, samples.end(), &is_before);
  const auto end = std::unique(
      neighbours, samples.end(), [](const StoredSample& left, const StoredSample& right) {
        return left.timestamp == right.timestamp && same_value(left.value, right.value);
      });
  const auto dropped = static_cast<std::size_t>(samples.end() - end);
  samples.erase(end, samples.end());
  return dropped;
}

}  // namespace skerry::twin::series
