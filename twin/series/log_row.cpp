#include "twin/series/log_row.hpp"

#include <bit>

#include "twin/series/samples.hpp"

namespace skerry::twin::series {
namespace {

enum class Kind : std::uint8_t { samples, erasure };

constexpr unsigned type_mask = 3;
constexpr unsigned true_bit = 4;
constexpr unsigned same_time_bit = 8;
constexpr unsigned flags_bit = 16;

std::int64_t wrapping_add(std::int64_t left, std::int64_t right) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(left) +
                                   static_cast<std::uint64_t>(right));
}

void append_head(std::string& out, Kind kind) {
  out.push_back(static_cast<char>(log_row_version));
  out.push_back(static_cast<char>(kind));
}

void append_value(std::string& out, const Value& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    append_signed(out, *integer);
  } else if (const auto* real = std::get_if<double>(&value)) {
    append_word(out, std::bit_cast<std::uint64_t>(*real));
  } else if (const auto* text = std::get_if<std::string_view>(&value)) {
    append_varint(out, text->size());
    out.append(*text);
  }
}

}  // namespace

void append_samples_row(std::span<const Sample> samples, std::string& out) {
  append_head(out, Kind::samples);
  std::int64_t before = 0;
  for (const Sample& sample : samples) {
    append_varint(out, sample.key.size());
    out.append(sample.key);
    auto head = static_cast<unsigned>(sample.value.index());
    const auto* boolean = std::get_if<bool>(&sample.value);
    head |= boolean != nullptr && *boolean ? true_bit : 0;
    head |= sample.timestamp == before ? same_time_bit : 0;
    head |= sample.flags != 0 ? flags_bit : 0;
    out.push_back(static_cast<char>(head));
    if (sample.timestamp != before) {
      append_signed(out, sample.timestamp - before);
      before = sample.timestamp;
    }
    if (sample.flags != 0) {
      out.push_back(static_cast<char>(sample.flags));
    }
    append_value(out, sample.value);
  }
}

void append_erasure_row(const SeriesErase& erase, std::string& out) {
  append_head(out, Kind::erasure);
  append_signed(out, erase.from);
  out.push_back(erase.to ? '\1' : '\0');
  if (erase.to) {
    append_signed(out, *erase.to);
  }
  out.append(erase.key.value_or(std::string()));
}

LogRowReader::LogRowReader(std::string_view row) noexcept : in_(row) {
  const bool known = in_.byte() == log_row_version;
  const std::uint8_t kind = in_.byte();
  is_erasure_ = kind == static_cast<std::uint8_t>(Kind::erasure);
  if (!known || kind > static_cast<std::uint8_t>(Kind::erasure)) {
    in_.fail();
  }
}

bool LogRowReader::next(Sample& sample) noexcept {
  if (in_.at_end()) {
    return false;
  }
  sample.key = in_.take(in_.varint());
  const unsigned head = in_.byte();
  if ((head & same_time_bit) == 0) {
    timestamp_ = wrapping_add(timestamp_, in_.signed_varint());
  }
  sample.timestamp = timestamp_;
  sample.flags = (head & flags_bit) != 0 ? in_.byte() : 0;
  switch (static_cast<ValueType>(head & type_mask)) {
    case ValueType::integer:
      sample.value = in_.signed_varint();
      break;
    case ValueType::real:
      sample.value = std::bit_cast<double>(in_.word());
      break;
    case ValueType::boolean:
      sample.value = (head & true_bit) != 0;
      break;
    case ValueType::text:
      sample.value = in_.take(in_.varint());
      break;
  }
  return in_.ok();
}

Erasure LogRowReader::erasure() {
  Erasure erasure;
  erasure.from = in_.signed_varint();
  if (in_.byte() != 0) {
    erasure.to = in_.signed_varint();
  }
  erasure.key = in_.rest();
  return erasure;
}

}  // namespace skerry::twin::series
