// SenML records (RFC 8428) apart from how they are written: the fields of one record and the rules
// that resolve records with their base fields to samples.
//
//   bn bt bu bv bs bver     hold from their record on
//   n u v vs vb vd s t ut   of one record
//
// Names: the resolved name is bn + n. Behind the device's own name ("<id>" or
// "urn:skerry:device:<id>") and a ':' or '/', which no device id holds, stands the key of the
// series. A base name must begin so; without a base name any n that is no URN of somebody else is a
// key of this device.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "twin/telemetry_error.hpp"
#include "twin/text_arena.hpp"

namespace skerry::twin {

/// Fields in the order of their CBOR labels −6 … 8 (RFC 8428 table 4).
enum class SenmlField : std::uint8_t {
  base_sum,
  base_value,
  base_unit,
  base_time,
  base_name,
  base_version,
  name,
  unit,
  value,
  text,
  boolean,
  sum,
  time,
  update_time,
  data,
};
inline constexpr int senml_label_min = -6;
inline constexpr int senml_label_max = 8;

/// By its JSON label ("bn"); nullopt: unknown.
std::optional<SenmlField> senml_field(std::string_view label) noexcept;

/// What is not known may be skipped unless its label ends in '_' (RFC 8428 section 4.4).
inline bool must_understand(std::string_view label) noexcept {
  return label.ends_with('_');
}

/// The content of `vd`, base64url without padding as SenML JSON writes it.
struct SenmlData {
  std::string_view base64url;
};

using SenmlScalar = std::variant<std::int64_t, double, bool, std::string_view, SenmlData>;
using SenmlNumber = std::variant<std::int64_t, double>;

namespace senml_detail {
inline constexpr std::size_t field_count = 15;
constexpr std::uint32_t bit(SenmlField field) noexcept {
  return 1U << static_cast<unsigned>(field);
}
inline constexpr std::uint32_t value_fields = bit(SenmlField::value) | bit(SenmlField::text) |
                                              bit(SenmlField::boolean) | bit(SenmlField::data);
/// Base fields come first.
inline constexpr std::uint32_t regular_fields = ~(bit(SenmlField::name) - 1U);
}  // namespace senml_detail

class SenmlRecord {
 public:
  void clear() noexcept { present_ = 0; }

  /// Refuses a value of the wrong type and a field that is given twice. Texts must be valid UTF-8;
  /// they live as long as the caller's bytes.
  std::optional<TelemetryError> set(SenmlField field, SenmlScalar value) noexcept;

  bool has(SenmlField field) const noexcept { return (present_ & senml_detail::bit(field)) != 0; }
  /// The scalar of a field that is there.
  const SenmlScalar& get(SenmlField field) const noexcept {
    return values_[static_cast<std::size_t>(field)];
  }
  int value_count() const noexcept { return std::popcount(present_ & senml_detail::value_fields); }
  bool has_regular_field() const noexcept { return (present_ & senml_detail::regular_fields) != 0; }

 private:
  SenmlScalar values_[senml_detail::field_count];
  std::uint32_t present_ = 0;
};

/// Resolves the records of one pack, in their order. For one thread at a time.
class SenmlResolver {
 public:
  /// `arrival` in epoch milliseconds; `device` must live until the last add().
  void start(std::string_view device, std::int64_t arrival);

  /// The samples of `record` join samples(). Texts of the record must live as long as they.
  std::optional<TelemetryError> add(const SenmlRecord& record);

  std::span<const Sample> samples() const noexcept { return samples_; }
  /// The unit of each sample, empty where none is given; no elements when no sample has one.
  std::span<const std::string_view> units() const noexcept {
    return has_units_ ? std::span<const std::string_view>(units_)
                      : std::span<const std::string_view>{};
  }
  /// For texts of the payload's reader that must live as long as the samples.
  TextArena& arena() noexcept { return arena_; }

 private:
  using Failure = std::optional<TelemetryError>;

  Failure take_base(const SenmlRecord& record);
  Failure resolve_time(const SenmlRecord& record, Sample& sample) const;
  Failure resolve_key(const SenmlRecord& record);
  Failure resolve_value(const SenmlRecord& record, Sample& sample) const;
  Failure resolve_sum(const SenmlRecord& record, Sample sample, std::string_view unit);
  Failure push(Sample sample, std::string_view unit);

  std::string_view device_;
  std::int64_t arrival_ = 0;
  std::string base_name_;
  std::string_view base_unit_;
  std::optional<SenmlNumber> base_time_;
  std::optional<SenmlNumber> base_value_;
  std::optional<SenmlNumber> base_sum_;
  std::optional<std::int64_t> version_;
  std::size_t records_ = 0;
  std::string name_;      ///< the resolved name of the record at hand
  std::string_view key_;  ///< its key, the end of name_
  std::vector<Sample> samples_;
  std::vector<std::string_view> units_;
  bool has_units_ = false;
  TextArena arena_;
};

}  // namespace skerry::twin
