#include "twin/series/keys.hpp"

#include "base/byte_order.hpp"

namespace skerry::twin::series {
namespace {

constexpr std::uint64_t sign_bit = std::uint64_t{1} << 63;

void append_time(std::string& out, std::int64_t time) {
  append_big_endian(out, static_cast<std::uint64_t>(time) ^ sign_bit);
}

std::int64_t read_time(std::string_view bytes) noexcept {
  return static_cast<std::int64_t>(read_big_endian<std::uint64_t>(bytes) ^ sign_bit);
}

}  // namespace

std::string log_key(std::string_view device, std::uint64_t sequence) {
  std::string key;
  key.reserve(device.size() + 1 + sizeof sequence);
  key.append(device).push_back('\0');
  append_big_endian(key, sequence);
  return key;
}

std::optional<LogKey> parse_log_key(std::string_view key) noexcept {
  const std::size_t end = key.find('\0');
  if (end == std::string_view::npos || key.size() != end + 1 + sizeof(std::uint64_t)) {
    return std::nullopt;
  }
  return LogKey{key.substr(0, end), read_big_endian<std::uint64_t>(key.substr(end + 1))};
}

std::string latest_key(std::string_view device, std::string_view key) {
  std::string out = device_prefix(device);
  out.append(key);
  return out;
}

std::optional<SeriesKey> parse_series_key(std::string_view key) noexcept {
  const std::size_t device_end = key.find('\0');
  if (device_end == std::string_view::npos) {
    return std::nullopt;
  }
  SeriesKey parsed;
  parsed.device = key.substr(0, device_end);
  parsed.key = key.substr(device_end + 1);
  const std::size_t key_end = parsed.key.find('\0');
  if (key_end != std::string_view::npos) {
    parsed.rest = parsed.key.substr(key_end + 1);
    parsed.key = parsed.key.substr(0, key_end);
  }
  return parsed;
}

std::string chunk_key(std::string_view series_prefix, SamplePlace place) {
  std::string key;
  key.reserve(series_prefix.size() + 16);
  key.append(series_prefix);
  append_place(key, place);
  return key;
}

std::optional<SamplePlace> parse_chunk_place(std::string_view rest) noexcept {
  if (rest.size() != 16) {
    return std::nullopt;
  }
  return SamplePlace{read_time(rest), read_big_endian<std::uint64_t>(rest.substr(8))};
}

std::string rollup_key(std::string_view series_prefix, Level level, std::int64_t block) {
  std::string key;
  key.reserve(series_prefix.size() + 9);
  key.append(series_prefix);
  key.push_back(static_cast<char>(level));
  append_time(key, block);
  return key;
}

std::optional<RollupPlace> parse_rollup_place(std::string_view rest) noexcept {
  if (rest.size() != 9) {
    return std::nullopt;
  }
  const auto level = static_cast<Level>(rest[0]);
  if (level != Level::minute && level != Level::hour && level != Level::day) {
    return std::nullopt;
  }
  return RollupPlace{level, read_time(rest.substr(1))};
}

}  // namespace skerry::twin::series
