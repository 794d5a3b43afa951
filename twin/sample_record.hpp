// The record of one sample on disk, in the family `series`:
//   key    device id · NUL · key · NUL · timestamp (8, big endian, sign bit flipped) · tie (8)
//   value  version (1) · type (1) · flags (1) · integer (8 BE) | double (8 BE) | bool (1) | text
// The tie is a hash of type and value: equal samples have equal keys and collapse, different ones
// at one timestamp stand side by side. Neither device ids nor keys hold a NUL.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "twin/sample.hpp"
#include "twin/series_store.hpp"

namespace skerry::twin {

inline constexpr std::uint8_t sample_record_version = 1;

/// `device` NUL: the beginning of all records of a device.
std::string device_prefix(std::string_view device);
/// The smallest key behind all records of a device.
std::string device_end(std::string_view device);
/// `device` NUL `key` NUL: the beginning of all records of one series.
std::string series_prefix(std::string_view device, std::string_view key);
/// The smallest key behind all records of one series.
std::string series_end(std::string_view device, std::string_view key);

/// Appends timestamp and tie in their order-keeping form.
void append_place(std::string& out, SamplePlace place);

/// Appends type, flags and value with the version in front: the value of a record.
void encode_sample(const Sample& sample, std::string& out);

/// The tie of an encoded value; flags do not count.
std::uint64_t tie_of(std::string_view encoded) noexcept;

struct RecordKey {
  std::string_view series;  ///< key of the series, into the record's key
  SamplePlace place;
};

/// Takes apart a key that begins with `prefix_size` bytes of device_prefix(). nullopt: not a
/// record.
std::optional<RecordKey> parse_record_key(std::string_view key, std::size_t prefix_size) noexcept;

/// Value and flags of a record; the timestamp stays 0. nullopt: damaged or of a newer version.
std::optional<StoredSample> decode_sample(std::string_view value);

}  // namespace skerry::twin
