#include "storage/log_check.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace skerry::storage {

namespace {

constexpr std::size_t block_bytes = 32 * 1024;
constexpr std::size_t header_bytes = 7;
constexpr std::size_t recyclable_header_bytes = 11;

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) {
      value = (value & 1) != 0 ? (value >> 1) ^ 0x82f63b78u : value >> 1;
    }
    table[i] = value;
  }
  return table;
}

std::uint32_t by_table(std::uint32_t crc, std::string_view bytes) noexcept {
  static constexpr std::array<std::uint32_t, 256> table = make_table();
  for (const char byte : bytes) {
    crc = table[(crc ^ static_cast<unsigned char>(byte)) & 0xff] ^ (crc >> 8);
  }
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t by_instruction(std::uint32_t crc,
                                                               std::string_view bytes) noexcept {
  std::uint64_t wide = crc;
  while (bytes.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    wide = _mm_crc32_u64(wide, word);
    bytes.remove_prefix(8);
  }
  return by_table(static_cast<std::uint32_t>(wide), bytes);
}
#endif

std::uint32_t little_endian(std::string_view bytes, std::size_t count) noexcept {
  std::uint32_t value = 0;
  for (std::size_t i = count; i-- > 0;) {
    value = (value << 8) | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

/// Checksums are kept in this form, since records may hold checksums of their own.
constexpr std::uint32_t masked(std::uint32_t crc) noexcept {
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

enum class Record : std::uint8_t { good, bad, cut, unwritten };

struct Found {
  Record kind;
  std::size_t bytes = 0;  ///< of a good one, with its header
};

/// Looks at the record at the beginning of `rest`, which ends with its block or with the file.
Found look(std::string_view rest, bool is_last_block) noexcept {
  const auto type = static_cast<unsigned char>(rest[6]);
  const std::size_t length = little_endian(rest.substr(4), 2);
  if (type == 0 && length == 0) {
    return {Record::unwritten};
  }
  const std::size_t header = type >= 5 && type <= 8 ? recyclable_header_bytes : header_bytes;
  if (header + length > rest.size()) {
    return {is_last_block ? Record::cut : Record::bad};
  }
  const std::uint32_t stored = little_endian(rest, 4);
  const bool holds = masked(crc32c(rest.substr(6, header - 6 + length))) == stored;
  return holds ? Found{Record::good, header + length} : Found{Record::bad};
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) noexcept {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (has_instruction) {
    return ~by_instruction(~0u, bytes);
  }
#endif
  return ~by_table(~0u, bytes);
}

LogCheck check_log(std::string_view content) noexcept {
  LogCheck check;
  bool unwritten = false;  // so far nothing has followed it
  std::size_t unwritten_at = 0;
  const auto damage = [&check](std::size_t at, std::size_t bytes) {
    if (check.state != LogCheck::State::damaged) {
      check.state = LogCheck::State::damaged;
      check.first_damage = at;
    }
    check.damaged_bytes += bytes;
  };
  for (std::size_t at = 0; at < content.size();) {
    const std::size_t in_block = at % block_bytes;
    const std::size_t block_end = std::min(at - in_block + block_bytes, content.size());
    const std::string_view rest = content.substr(at, block_end - at);
    const bool is_last_block = block_end == content.size();
    if (rest.size() < header_bytes) {  // the trailer of a block, or a header that was cut off
      const bool is_trailer = block_bytes - in_block < header_bytes;
      check.state = !is_trailer && check.state == LogCheck::State::whole ? LogCheck::State::torn
                                                                         : check.state;
      at = block_end;
      continue;
    }
    const Found found = look(rest, is_last_block);
    switch (found.kind) {
      case Record::good:
        if (unwritten) {  // a hole, with something behind it
          unwritten = false;
          damage(unwritten_at, at - unwritten_at);
        }
        check.readable_behind = check.state == LogCheck::State::damaged;
        at += found.bytes;
        continue;
      case Record::bad:
        damage(at, rest.size());
        break;
      case Record::unwritten:
        unwritten_at = unwritten ? unwritten_at : at;
        unwritten = true;
        break;
      case Record::cut:
        check.state = check.state == LogCheck::State::whole ? LogCheck::State::torn : check.state;
        break;
    }
    at = block_end;
  }
  if (unwritten && check.state == LogCheck::State::whole) {
    check.state = LogCheck::State::torn;
  }
  return check;
}

}  // namespace skerry::storage
