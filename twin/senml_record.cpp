#include "twin/senml_record.hpp"

#include <algorithm>
#include <cmath>

#include "base/limits.hpp"

namespace skerry::twin {
namespace {

using Failure = std::optional<TelemetryError>;

constexpr TelemetryError field_twice{"a SenML record gives a field twice"};
constexpr TelemetryError wrong_type{"a SenML field has a value of the wrong type"};
constexpr TelemetryError not_finite{"a number is not finite"};
constexpr TelemetryError bad_data{"vd is not base64url without padding"};
constexpr TelemetryError text_too_long{"a string value is too long"};
constexpr TelemetryError unit_too_long{"a unit is too long"};
constexpr TelemetryError bad_version{"bver is not a version that is understood (1 to 10)"};
constexpr TelemetryError versions_differ{"the records of a pack have different bver"};
constexpr TelemetryError several_values{"a SenML record has more than one of v, vs, vb and vd"};
constexpr TelemetryError no_value{"a SenML record has no value and no sum"};
constexpr TelemetryError no_name{"a SenML record names no measurement of the device"};
constexpr TelemetryError bad_name{"a SenML name holds a character that RFC 8428 does not allow"};
constexpr TelemetryError key_too_long{"a key is too long"};
constexpr TelemetryError foreign_name{
    "a SenML name does not begin with the device's own id and ':' or '/'"};
constexpr TelemetryError time_out_of_range{"a SenML time lies outside the years 1 to 9999"};
constexpr TelemetryError too_many_records{"there are too many records in one SenML pack"};
constexpr TelemetryError too_many_values{"there are too many values in one message"};

constexpr std::string_view device_urn = "urn:skerry:device:";
constexpr std::string_view sum_suffix = ".sum";

/// Times below this are relative to now, in seconds (RFC 8428 section 4.5.3).
constexpr std::int64_t relative_time_max = std::int64_t{1} << 28;
/// Well beyond every year that can be stored, well below what overflows in milliseconds.
constexpr double seconds_max = 1e12;

bool is_base64url(std::string_view text) noexcept {
  return text.size() % 4 != 1 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_';
         });
}

bool is_alphanumeric(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// A character of a resolved name (RFC 8428 section 4.5.1).
bool is_name_character(char c) noexcept {
  return is_alphanumeric(c) || c == '-' || c == ':' || c == '.' || c == '/' || c == '_';
}

/// What follows `prefix` and a separator that no device id can hold.
std::optional<std::string_view> behind(std::string_view name, std::string_view prefix) noexcept {
  if (!name.starts_with(prefix) || name.size() == prefix.size() ||
      (name[prefix.size()] != ':' && name[prefix.size()] != '/')) {
    return std::nullopt;
  }
  return name.substr(prefix.size() + 1);
}

/// The part of a resolved name behind the device's own; nullopt: it does not begin so.
std::optional<std::string_view> behind_own_name(std::string_view name,
                                                std::string_view device) noexcept {
  if (name == device) {
    return std::string_view{};
  }
  if (name.starts_with(device_urn)) {
    const std::string_view id = name.substr(device_urn.size());
    return id == device ? std::string_view{} : behind(id, device);
  }
  return behind(name, device);
}

std::optional<SenmlNumber> number_of(const SenmlScalar& scalar) noexcept {
  if (const auto* integer = std::get_if<std::int64_t>(&scalar)) {
    return SenmlNumber{*integer};
  }
  if (const auto* real = std::get_if<double>(&scalar)) {
    return SenmlNumber{*real};
  }
  return std::nullopt;
}

double as_double(SenmlNumber number) noexcept {
  const auto* integer = std::get_if<std::int64_t>(&number);
  return integer != nullptr ? static_cast<double>(*integer) : std::get<double>(number);
}

/// Integers stay integers as long as the sum is one of 64 bits.
SenmlNumber add(SenmlNumber left, SenmlNumber right) noexcept {
  const auto* first = std::get_if<std::int64_t>(&left);
  const auto* second = std::get_if<std::int64_t>(&right);
  std::int64_t sum = 0;
  if (first != nullptr && second != nullptr && !__builtin_add_overflow(*first, *second, &sum)) {
    return sum;
  }
  return as_double(left) + as_double(right);
}

/// A base value and a value, of which one may be missing and then counts as 0; nullopt: both are.
std::optional<SenmlNumber> add(const std::optional<SenmlNumber>& base, const SenmlRecord& record,
                               SenmlField field) noexcept {
  if (!record.has(field)) {
    return base;
  }
  const SenmlNumber own = *number_of(record.get(field));
  return base ? add(*base, own) : own;
}

Failure store_number(SenmlNumber number, Sample& sample) noexcept {
  if (const auto* integer = std::get_if<std::int64_t>(&number)) {
    sample.value = *integer;
    return {};
  }
  const double real = std::get<double>(number);
  sample.value = real;
  return std::isfinite(real) ? Failure{} : not_finite;
}

}  // namespace

std::optional<SenmlField> senml_field(std::string_view label) noexcept {
  using Field = SenmlField;
  struct Row {
    std::string_view label;
    Field field;
  };
  static constexpr Row rows[] = {
      {"n", Field::name},        {"v", Field::value},        {"t", Field::time},
      {"u", Field::unit},        {"vs", Field::text},        {"vb", Field::boolean},
      {"bn", Field::base_name},  {"bt", Field::base_time},   {"bu", Field::base_unit},
      {"bv", Field::base_value}, {"bs", Field::base_sum},    {"bver", Field::base_version},
      {"s", Field::sum},         {"ut", Field::update_time}, {"vd", Field::data}};
  for (const Row& row : rows) {
    if (row.label == label) {
      return row.field;
    }
  }
  return std::nullopt;
}

Failure SenmlRecord::set(SenmlField field, SenmlScalar value) noexcept {
  if (has(field)) {
    return field_twice;
  }
  bool fits = false;
  switch (field) {
    case SenmlField::base_sum:
    case SenmlField::base_value:
    case SenmlField::base_time:
    case SenmlField::value:
    case SenmlField::sum:
    case SenmlField::time:
    case SenmlField::update_time:
      fits = std::holds_alternative<std::int64_t>(value) || std::holds_alternative<double>(value);
      break;
    case SenmlField::base_version:
      fits = std::holds_alternative<std::int64_t>(value);
      break;
    case SenmlField::base_name:
    case SenmlField::name:
    case SenmlField::base_unit:
    case SenmlField::unit:
    case SenmlField::text:
      fits = std::holds_alternative<std::string_view>(value);
      break;
    case SenmlField::boolean:
      fits = std::holds_alternative<bool>(value);
      break;
    case SenmlField::data:
      fits = std::holds_alternative<SenmlData>(value);
      break;
  }
  if (!fits) {
    return wrong_type;
  }
  const auto* real = std::get_if<double>(&value);
  if (real != nullptr && !std::isfinite(*real)) {
    return not_finite;
  }
  values_[static_cast<std::size_t>(field)] = value;
  present_ |= senml_detail::bit(field);
  return {};
}

void SenmlResolver::start(std::string_view device, std::int64_t arrival) {
  device_ = device;
  arrival_ = arrival;
  base_name_.clear();
  base_unit_ = {};
  base_time_.reset();
  base_value_.reset();
  base_sum_.reset();
  version_.reset();
  records_ = 0;
  samples_.clear();
  units_.clear();
  has_units_ = false;
  arena_.reset();
}

Failure SenmlResolver::take_base(const SenmlRecord& record) {
  if (record.has(SenmlField::base_version)) {
    const auto version = std::get<std::int64_t>(record.get(SenmlField::base_version));
    if (version < 1 || version > 10) {
      return bad_version;
    }
    if (version_.value_or(version) != version) {
      return versions_differ;
    }
    version_ = version;
  }
  if (record.has(SenmlField::base_name)) {
    base_name_ = std::get<std::string_view>(record.get(SenmlField::base_name));
    if (base_name_.size() > telemetry_key_bytes_max) {
      return key_too_long;
    }
  }
  if (record.has(SenmlField::base_unit)) {
    base_unit_ = std::get<std::string_view>(record.get(SenmlField::base_unit));
  }
  const auto take_number = [&record](SenmlField field, std::optional<SenmlNumber>& into) {
    if (record.has(field)) {
      into = number_of(record.get(field));
    }
  };
  take_number(SenmlField::base_time, base_time_);
  take_number(SenmlField::base_value, base_value_);
  take_number(SenmlField::base_sum, base_sum_);
  return {};
}

Failure SenmlResolver::resolve_time(const SenmlRecord& record, Sample& sample) const {
  const SenmlNumber seconds =
      twin::add(base_time_, record, SenmlField::time).value_or(std::int64_t{0});
  if (std::abs(as_double(seconds)) > seconds_max) {
    return time_out_of_range;
  }
  const auto* whole = std::get_if<std::int64_t>(&seconds);
  std::int64_t milliseconds =
      whole != nullptr ? *whole * 1000 : std::llround(std::get<double>(seconds) * 1000);
  if (as_double(seconds) < static_cast<double>(relative_time_max)) {
    milliseconds += arrival_;
  }
  if (milliseconds < timestamp_min || milliseconds > timestamp_max) {
    return time_out_of_range;
  }
  sample.timestamp = milliseconds;
  sample.flags = flags_of(milliseconds, arrival_);
  return {};
}

Failure SenmlResolver::resolve_key(const SenmlRecord& record) {
  const std::string_view own = record.has(SenmlField::name)
                                   ? std::get<std::string_view>(record.get(SenmlField::name))
                                   : std::string_view{};
  if (own.size() > 2 * telemetry_key_bytes_max) {
    return key_too_long;
  }
  name_.assign(base_name_).append(own);
  const auto rest = behind_own_name(name_, device_);
  if (!rest && (!base_name_.empty() || name_.starts_with("urn:"))) {
    return foreign_name;
  }
  key_ = rest ? *rest : std::string_view(name_);
  if (key_.empty()) {
    return no_name;
  }
  if (!std::all_of(key_.begin(), key_.end(), &is_name_character) ||
      !is_alphanumeric(name_.front())) {
    return bad_name;
  }
  return key_.size() > telemetry_key_bytes_max ? key_too_long : Failure{};
}

Failure SenmlResolver::resolve_value(const SenmlRecord& record, Sample& sample) const {
  if (record.has(SenmlField::boolean)) {
    sample.value = std::get<bool>(record.get(SenmlField::boolean));
    return {};
  }
  if (record.has(SenmlField::text) || record.has(SenmlField::data)) {
    std::string_view text;
    if (record.has(SenmlField::text)) {
      text = std::get<std::string_view>(record.get(SenmlField::text));
    } else {
      text = std::get<SenmlData>(record.get(SenmlField::data)).base64url;
      if (!is_base64url(text)) {
        return bad_data;
      }
    }
    sample.value = text;
    return text.size() > telemetry_string_bytes_max ? text_too_long : Failure{};
  }
  return store_number(*twin::add(base_value_, record, SenmlField::value), sample);
}

/// The integrated sum of a measurement is a series of its own beside it.
Failure SenmlResolver::resolve_sum(const SenmlRecord& record, Sample sample,
                                   std::string_view unit) {
  if (key_.size() + sum_suffix.size() > telemetry_key_bytes_max) {
    return key_too_long;
  }
  const std::size_t key_at = name_.size() - key_.size();
  name_.append(sum_suffix);
  sample.key = arena_.keep(std::string_view(name_).substr(key_at));
  if (const Failure failure =
          store_number(*twin::add(base_sum_, record, SenmlField::sum), sample)) {
    return failure;
  }
  return push(sample, unit.empty() ? unit : arena_.keep(std::string(unit) + "*s"));
}

Failure SenmlResolver::push(Sample sample, std::string_view unit) {
  if (samples_.size() == telemetry_samples_max) {
    return too_many_values;
  }
  samples_.push_back(sample);
  units_.push_back(unit);
  has_units_ = has_units_ || !unit.empty();
  return {};
}

Failure SenmlResolver::add(const SenmlRecord& record) {
  if (++records_ > senml_records_max) {
    return too_many_records;
  }
  Failure failure = take_base(record);
  if (failure || !record.has_regular_field()) {
    return failure;  // Base fields alone only speak of the records behind them.
  }
  if (record.value_count() > 1) {
    return several_values;
  }
  const bool has_sum = record.has(SenmlField::sum);
  const bool has_value = record.value_count() == 1 || (base_value_ && !has_sum);
  const bool has_base_sum_alone = !has_value && base_sum_.has_value();
  if (!has_value && !has_sum && !has_base_sum_alone) {
    return no_value;
  }
  Sample sample;
  failure = resolve_time(record, sample);
  if (!failure) {
    failure = resolve_key(record);
  }
  if (failure) {
    return failure;
  }
  const std::string_view unit = record.has(SenmlField::unit)
                                    ? std::get<std::string_view>(record.get(SenmlField::unit))
                                    : base_unit_;
  if (unit.size() > telemetry_unit_bytes_max) {
    return unit_too_long;
  }
  if (has_value) {
    sample.key = arena_.keep(key_);
    failure = resolve_value(record, sample);
    if (!failure) {
      failure = push(sample, unit);
    }
  }
  return failure || !(has_sum || has_base_sum_alone) ? failure : resolve_sum(record, sample, unit);
}

}  // namespace skerry::twin
