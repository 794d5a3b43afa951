#include "twin/sample_record.hpp"

#include <bit>

#include "base/byte_order.hpp"
#include "base/keyed_hash.hpp"

namespace skerry::twin {
namespace {

/// On disk: append, never reorder.
enum class ValueType : std::uint8_t { integer = 1, real = 2, boolean = 3, text = 4 };

constexpr std::size_t place_bytes = 16;
constexpr std::size_t value_head_bytes = 3;
constexpr std::uint64_t sign_bit = std::uint64_t{1} << 63;

/// The key is fixed because hashes are on disk; who makes values collide loses only values of its
/// own at one millisecond.
constexpr HashKey tie_key{{0x736b657272792d74ull, 0x6965732d76312d30ull}};

void append_head(std::string& out, ValueType type, std::uint8_t flags) {
  out.push_back(static_cast<char>(sample_record_version));
  out.push_back(static_cast<char>(type));
  out.push_back(static_cast<char>(flags));
}

std::string joined(std::string_view device, std::string_view key, char last) {
  std::string out;
  out.reserve(device.size() + key.size() + 2 + place_bytes);
  out.append(device).push_back('\0');
  out.append(key).push_back(last);
  return out;
}

}  // namespace

std::string device_prefix(std::string_view device) {
  return std::string(device) + '\0';
}

std::string device_end(std::string_view device) {
  return std::string(device) + '\1';
}

std::string series_prefix(std::string_view device, std::string_view key) {
  return joined(device, key, '\0');
}

std::string series_end(std::string_view device, std::string_view key) {
  return joined(device, key, '\1');
}

void append_place(std::string& out, SamplePlace place) {
  append_big_endian(out, static_cast<std::uint64_t>(place.timestamp) ^ sign_bit);
  append_big_endian(out, place.tie);
}

void encode_sample(const Sample& sample, std::string& out) {
  if (const auto* integer = std::get_if<std::int64_t>(&sample.value)) {
    append_head(out, ValueType::integer, sample.flags);
    append_big_endian(out, *integer);
  } else if (const auto* real = std::get_if<double>(&sample.value)) {
    append_head(out, ValueType::real, sample.flags);
    append_big_endian(out, std::bit_cast<std::uint64_t>(*real));
  } else if (const auto* boolean = std::get_if<bool>(&sample.value)) {
    append_head(out, ValueType::boolean, sample.flags);
    out.push_back(*boolean ? '\1' : '\0');
  } else {
    append_head(out, ValueType::text, sample.flags);
    out.append(std::get<std::string_view>(sample.value));
  }
}

std::uint64_t tie_of(std::string_view encoded) noexcept {
  // The type joins by way of the hash key, so that no copy without the flags is needed.
  HashKey key = tie_key;
  key.words[0] ^= static_cast<std::uint8_t>(encoded[1]);
  return keyed_hash(key, encoded.substr(value_head_bytes));
}

std::optional<RecordKey> parse_record_key(std::string_view key, std::size_t prefix_size) noexcept {
  if (key.size() < prefix_size + 1 + place_bytes) {
    return std::nullopt;
  }
  const std::size_t place_at = key.size() - place_bytes;
  if (key[place_at - 1] != '\0') {
    return std::nullopt;
  }
  RecordKey out;
  out.series = key.substr(prefix_size, place_at - 1 - prefix_size);
  const auto timestamp = read_big_endian<std::uint64_t>(key.substr(place_at, 8));
  out.place.timestamp = static_cast<std::int64_t>(timestamp ^ sign_bit);
  out.place.tie = read_big_endian<std::uint64_t>(key.substr(place_at + 8, 8));
  return out;
}

std::optional<StoredSample> decode_sample(std::string_view value) {
  if (value.size() < value_head_bytes ||
      static_cast<std::uint8_t>(value[0]) != sample_record_version) {
    return std::nullopt;
  }
  StoredSample out;
  out.flags = static_cast<std::uint8_t>(value[2]);
  const std::string_view content = value.substr(value_head_bytes);
  switch (static_cast<ValueType>(value[1])) {
    case ValueType::integer:
      if (content.size() != 8) {
        return std::nullopt;
      }
      out.value = read_big_endian<std::int64_t>(content);
      return out;
    case ValueType::real:
      if (content.size() != 8) {
        return std::nullopt;
      }
      out.value = std::bit_cast<double>(read_big_endian<std::uint64_t>(content));
      return out;
    case ValueType::boolean:
      if (content.size() != 1) {
        return std::nullopt;
      }
      out.value = content[0] != '\0';
      return out;
    case ValueType::text:
      out.value = std::string(content);
      return out;
  }
  return std::nullopt;
}

}  // namespace skerry::twin
