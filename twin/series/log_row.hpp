// A row of the log: what one message brought, or one erasure, as it came and in the order of its
// sequence number, until it is worked into chunks.
//   version (1) · kind (1)
//   kind 0, samples: until the end { key length (varint) · key · head (1)
//     · timestamp − the one before (signed varint, unless head says "same") · flags (1, if any)
//     · integer (signed varint) | double (8) | nothing | length (varint) text }
//     head: bits 0–1 ValueType · bit 2 value of a boolean · bit 3 same timestamp · bit 4 flags
//     follow
//   kind 1, erasure: from (signed varint) · has an end (1) · to (signed varint, if it has)
//     · the rest: key; empty: all series of the device
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "twin/sample.hpp"
#include "twin/series/bytes.hpp"
#include "twin/series_store.hpp"

namespace skerry::twin::series {

inline constexpr std::uint8_t log_row_version = 1;

/// What an erasure in the log says. It goes for what is in chunks and in rows of a lower sequence.
struct Erasure {
  std::uint64_t sequence = 0;
  std::string key;  ///< empty: all series
  std::int64_t from = INT64_MIN;
  std::optional<std::int64_t> to;

  bool covers(std::string_view of_key, std::int64_t timestamp) const noexcept {
    return (key.empty() || key == of_key) && timestamp >= from && (!to || timestamp < *to);
  }
};

/// Appends a row of samples.
void append_samples_row(std::span<const Sample> samples, std::string& out);
void append_erasure_row(const SeriesErase& erase, std::string& out);

/// Takes a row apart, one sample after the other, without copies.
class LogRowReader {
 public:
  explicit LogRowReader(std::string_view row) noexcept;

  /// The row is damaged, or of a newer version.
  bool failed() const noexcept { return !in_.ok(); }
  bool is_erasure() const noexcept { return is_erasure_; }

  /// False at the end, and when the row is damaged.
  bool next(Sample& sample) noexcept;
  /// The erasure of such a row, without its sequence.
  Erasure erasure();

 private:
  ByteReader in_;
  bool is_erasure_ = false;
  std::int64_t timestamp_ = 0;
};

}  // namespace skerry::twin::series
