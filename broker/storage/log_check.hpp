// A look at one file of the engine's write-ahead log before it is replayed: is it whole, cut off at
// its end as a power cut leaves it, or damaged before its end? The engine itself does not tell the
// last two apart: it stops at the first record that does not check out, and says nothing of what
// stood behind it.
//
// Layout (format of RocksDB and LevelDB): blocks of 32 KiB; a record has checksum (4), length (2),
// type (1), for types 5 … 8 a log number (4), then its bytes; it does not cross a block. Type 0:
// not written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace skerry::storage {

struct LogCheck {
  enum class State : std::uint8_t {
    whole,    ///< every record checks out
    torn,     ///< ends within a record, or in space that was never written
    damaged,  ///< a record does not check out although all of it is there
  };
  State state = State::whole;
  std::uint64_t first_damage = 0;   ///< offset; when damaged
  std::uint64_t damaged_bytes = 0;  ///< from bad records to the end of their blocks
  bool readable_behind = false;     ///< records behind the damage check out
};

/// Judges the content of a log file. Reads nothing outside `content`. O(size), about 1 GB/s or
/// better.
LogCheck check_log(std::string_view content) noexcept;

/// CRC-32C (Castagnoli) of `bytes`.
std::uint32_t crc32c(std::string_view bytes) noexcept;

}  // namespace skerry::storage
