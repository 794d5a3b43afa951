#include "twin/senml_cbor.hpp"

#include <simdjson.h>

#include <array>
#include <charconv>
#include <cstdio>

#include "base/limits.hpp"

namespace skerry::twin {
namespace {

constexpr TelemetryError malformed{"the payload is not CBOR or was cut short"};
constexpr TelemetryError trailing{"there are bytes behind the SenML pack"};
constexpr TelemetryError not_pack{"a SenML pack must be an array of maps"};
constexpr TelemetryError bad_label{"a SenML label must be an integer or a text"};
constexpr TelemetryError must_understand_field{"a SenML field that must be understood is unknown"};
constexpr TelemetryError bad_value{"a SenML field holds a kind of value that it may not"};
constexpr TelemetryError integer_too_large{"an integer does not fit into 64 bits with sign"};
constexpr TelemetryError bad_tag{"a CBOR tag is not accepted here"};
constexpr TelemetryError bad_fraction{"a decimal fraction is malformed or too large"};
constexpr TelemetryError not_utf8{"a text is not valid UTF-8"};
constexpr TelemetryError text_too_long{"a string value is too long"};
constexpr TelemetryError too_deep{"the payload is nested too deep"};
constexpr TelemetryError no_records{"a SenML pack has no records"};

/// RFC 8949 section 3.4.4.
constexpr std::uint64_t decimal_fraction_tag = 4;
/// Powers of ten beyond this are 0 or infinite in a double whatever the mantissa.
constexpr std::int64_t exponent_max = 400;

std::optional<std::int64_t> integer_of(const CborItem& item) noexcept {
  if (item.number > static_cast<std::uint64_t>(INT64_MAX)) {
    return std::nullopt;
  }
  const auto number = static_cast<std::int64_t>(item.number);
  return item.kind == CborKind::negative_integer ? -1 - number : number;
}

bool is_integer(const CborItem& item) noexcept {
  return item.kind == CborKind::unsigned_integer || item.kind == CborKind::negative_integer;
}

/// Bytes as base64url without padding (RFC 4648 section 5).
void append_base64url(std::string& out, std::string_view bytes) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<std::uint8_t>(c);
    for (count += 8; count >= 6; count -= 6) {
      out.push_back(digits[bits >> (count - 6) & 63U]);
    }
  }
  if (count > 0) {
    out.push_back(digits[bits << (6 - count) & 63U]);
  }
}

}  // namespace

auto SenmlCbor::next(CborItem& item) -> Failure {
  const auto read = reader_.next();
  if (!read) {
    return malformed;
  }
  item = *read;
  return {};
}

auto SenmlCbor::read() -> Failure {
  CborItem pack;
  if (const Failure failure = next(pack)) {
    return failure;
  }
  if (pack.kind != CborKind::array) {
    return not_pack;
  }
  std::size_t records = 0;
  for (; pack.indefinite || records < pack.number; ++records) {
    CborItem item;
    if (const Failure failure = next(item)) {
      return failure;
    }
    if (pack.indefinite && item.kind == CborKind::stop) {
      break;
    }
    if (item.kind != CborKind::map) {
      return not_pack;
    }
    // The resolver refuses what comes behind senml_records_max records.
    if (const Failure failure = read_record(item)) {
      return failure;
    }
  }
  if (records == 0) {
    return no_records;
  }
  return reader_.at_end() ? Failure{} : trailing;
}

auto SenmlCbor::read_record(const CborItem& map) -> Failure {
  record_.clear();
  for (std::uint64_t pair = 0; map.indefinite || pair < map.number; ++pair) {
    CborItem label;
    Failure failure = next(label);
    if (!failure && map.indefinite && label.kind == CborKind::stop) {
      break;
    }
    bool known = false;
    SenmlField field{};
    if (!failure) {
      failure = read_field(label, known, field);
    }
    if (!failure) {
      failure = known ? read_value(field) : skip_value();
    }
    if (failure) {
      return failure;
    }
  }
  return resolver_.add(record_);
}

auto SenmlCbor::read_field(const CborItem& label, bool& known, SenmlField& field) -> Failure {
  if (is_integer(label)) {
    const auto number = integer_of(label);
    known = number && *number >= senml_label_min && *number <= senml_label_max;
    field = known ? static_cast<SenmlField>(*number - senml_label_min) : field;
    return {};
  }
  if (label.kind != CborKind::text) {
    return bad_label;
  }
  std::string_view text;
  if (const Failure failure = read_string(label, text)) {
    return failure;
  }
  const auto found = senml_field(text);
  known = found.has_value();
  field = found.value_or(field);
  return !known && must_understand(text) ? must_understand_field : Failure{};
}

auto SenmlCbor::read_value(SenmlField field) -> Failure {
  CborItem item;
  Failure failure = next(item);
  if (failure) {
    return failure;
  }
  SenmlScalar scalar;
  failure = read_scalar(item, field, scalar);
  return failure ? failure : record_.set(field, scalar);
}

auto SenmlCbor::read_scalar(const CborItem& item, SenmlField field, SenmlScalar& scalar)
    -> Failure {
  switch (item.kind) {
    case CborKind::unsigned_integer:
    case CborKind::negative_integer: {
      const auto integer = integer_of(item);
      scalar = integer.value_or(0);
      return integer ? Failure{} : integer_too_large;
    }
    case CborKind::real:
      scalar = item.real;
      return {};
    case CborKind::boolean:
      scalar = item.number != 0;
      return {};
    case CborKind::text: {
      std::string_view text;
      const Failure failure = read_string(item, text);
      scalar = text;
      return failure;
    }
    case CborKind::bytes: {
      if (field != SenmlField::data) {
        return bad_value;
      }
      std::string_view bytes;
      const Failure failure = read_string(item, bytes);
      if (failure || bytes.size() > telemetry_string_bytes_max / 4 * 3) {
        return failure ? failure : text_too_long;
      }
      std::string encoded;
      append_base64url(encoded, bytes);
      scalar = SenmlData{resolver_.arena().keep(encoded)};
      return {};
    }
    case CborKind::tag:
      return item.number == decimal_fraction_tag ? read_decimal_fraction(scalar) : bad_tag;
    case CborKind::array:
    case CborKind::map:
    case CborKind::null:
      return bad_value;
    case CborKind::stop:
      return malformed;
  }
  return bad_value;
}

/// `item` is the head of a string; its chunks, if it has any, are joined.
auto SenmlCbor::read_string(const CborItem& item, std::string_view& text) -> Failure {
  text = item.text;
  if (item.indefinite) {
    scratch_.clear();
    for (;;) {
      CborItem chunk;
      if (const Failure failure = next(chunk)) {
        return failure;
      }
      if (chunk.kind == CborKind::stop) {
        break;
      }
      if (chunk.kind != item.kind || chunk.indefinite) {
        return malformed;
      }
      if (scratch_.size() + chunk.text.size() > telemetry_string_bytes_max) {
        return text_too_long;
      }
      scratch_.append(chunk.text);
    }
    text = resolver_.arena().keep(scratch_);
  }
  const bool valid =
      item.kind == CborKind::bytes || simdjson::validate_utf8(text.data(), text.size());
  return valid ? Failure{} : not_utf8;
}

/// [exponent, mantissa]: the double nearest to mantissa · 10^exponent, or an integer without one.
auto SenmlCbor::read_decimal_fraction(SenmlScalar& scalar) -> Failure {
  CborItem array;
  CborItem exponent;
  CborItem mantissa;
  Failure failure = next(array);
  if (!failure && (array.kind != CborKind::array || array.indefinite || array.number != 2)) {
    failure = bad_fraction;
  }
  if (!failure) {
    failure = next(exponent);
  }
  if (!failure) {
    failure = next(mantissa);
  }
  if (failure) {
    return failure;
  }
  const auto power = is_integer(exponent) ? integer_of(exponent) : std::nullopt;
  const auto digits = is_integer(mantissa) ? integer_of(mantissa) : std::nullopt;
  if (!power || !digits || *power < -exponent_max || *power > exponent_max) {
    return bad_fraction;
  }
  if (*power == 0) {
    scalar = *digits;
    return {};
  }
  std::array<char, 48> text{};
  const int size = std::snprintf(text.data(), text.size(), "%llde%lld",
                                 static_cast<long long>(*digits), static_cast<long long>(*power));
  double real = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + size, real);
  scalar = real;
  return error == std::errc{} ? Failure{} : bad_fraction;
}

/// Passes over one value of any kind. Its depth is capped and each step reads a byte at least, so
/// no length that a payload claims makes it long.
auto SenmlCbor::skip_value() -> Failure {
  struct Level {
    bool indefinite;
    bool is_map;
    std::uint64_t items;  ///< still to come; of an indefinite one: passed
  };
  std::array<Level, telemetry_depth_max> levels{};
  std::size_t depth = 0;
  bool tagged = false;
  for (;;) {
    CborItem item;
    if (const Failure failure = next(item)) {
      return failure;
    }
    if (item.kind == CborKind::tag) {
      tagged = true;
      continue;
    }
    const bool is_map = item.kind == CborKind::map;
    if (item.kind == CborKind::stop) {
      const Level top = depth == 0 ? Level{} : levels[depth - 1];
      if (tagged || !top.indefinite || (top.is_map && top.items % 2 != 0)) {
        return malformed;
      }
      --depth;
    } else if ((is_map || item.kind == CborKind::array) && (item.indefinite || item.number > 0)) {
      if (depth == levels.size()) {
        return too_deep;
      }
      if (is_map && item.number > UINT64_MAX / 2) {
        return malformed;
      }
      levels[depth++] = {item.indefinite, is_map, is_map ? item.number * 2 : item.number};
      tagged = false;
      continue;
    } else if (item.kind == CborKind::text || item.kind == CborKind::bytes) {
      std::string_view text;
      if (const Failure failure = read_string(item, text)) {
        return failure;
      }
    }
    // A value is complete, and so may be what holds it.
    tagged = false;
    while (depth > 0 && !levels[depth - 1].indefinite && --levels[depth - 1].items == 0) {
      --depth;
    }
    if (depth == 0) {
      return {};
    }
    levels[depth - 1].items += levels[depth - 1].indefinite ? 1 : 0;
  }
}

}  // namespace skerry::twin
