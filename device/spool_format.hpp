// What the spool writes: segments of records, and the position up to which they are done with.
// Readers take whatever a crash, a full disk or a failing card has left: they give the records that
// are whole, up to the first that is not.
//
//   segment   "SKSP" version:1 zero:3 boot:16 first-sequence:8 crc:4, then records
//   record    length:4 crc:4 wall-ms:8 boot-ms:8 body:length (crc of all but itself)
//   position  "SKPO" version:1 zero:3 generation:8 done:8 lost:8*4 crc:4, two of them, 512 apart
//
// Integers are big-endian; the sequence of a record is that of its segment plus its index.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/now.hpp"

namespace skerry::agent {

inline constexpr std::size_t segment_header_bytes = 36;
inline constexpr std::size_t record_header_bytes = 24;
inline constexpr std::size_t position_bytes = 60;
inline constexpr std::size_t position_slot_bytes = 512;

using BootId = std::array<char, 16>;

/// One instant: the wall clock, which may be wrong or jump, and the time since boot, which is not.
struct SpoolTime {
  WallTime wall{};
  Milliseconds since_boot{};
};

struct SegmentHeader {
  BootId boot{};
  std::uint64_t first = 0;
};

struct RecordView {
  SpoolTime time;
  std::string_view body;  ///< in the bytes that were given
  std::size_t bytes = 0;  ///< of the whole record
};

/// What was given up, by reason, since the spool was made.
struct SpoolLosses {
  std::uint64_t size = 0;     ///< the oldest, because the spool was full
  std::uint64_t age = 0;      ///< too old to be of use
  std::uint64_t damage = 0;   ///< could not be read back
  std::uint64_t refused = 0;  ///< the gateway has refused them for good

  std::uint64_t total() const noexcept { return size + age + damage + refused; }
  bool operator==(const SpoolLosses&) const = default;
};

struct Position {
  std::uint64_t generation = 0;
  std::uint64_t done = 0;  ///< every record before this sequence is sent or given up
  SpoolLosses lost;
};

std::string encode_segment_header(const SegmentHeader& header);
std::string encode_record(const SpoolTime& time, std::string_view body);
std::string encode_position(const Position& position);

/// nullopt: no segment of ours, or of a newer version.
std::optional<SegmentHeader> decode_segment_header(std::string_view bytes);
/// The record at the front; nullopt when it is cut off, damaged, or over record_bytes_max.
std::optional<RecordView> decode_record(std::string_view bytes);
/// The newer of the slots that are whole.
std::optional<Position> decode_position(std::string_view file);

}  // namespace skerry::agent
