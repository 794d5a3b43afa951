#include "twin/series/value_column.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <unordered_map>

#include "twin/series/decimal.hpp"
#include "twin/series/gorilla.hpp"
#include "twin/series/samples.hpp"

namespace skerry::twin::series {
namespace {

enum class NumberForm : std::uint8_t { decimal, gorilla };

/// A dictionary longer than this is compressed when that makes it smaller.
constexpr std::size_t dictionary_zstd_min = 48;

constexpr bool is_number(ValueType type) noexcept {
  return type == ValueType::integer || type == ValueType::real;
}

/// A damaged dictionary must not ask for more memory than an honest one: every text with its
/// length.
constexpr std::size_t dictionary_bytes_max = 2 * chunk_text_bytes_max;

std::optional<Decimal> decimal_of_value(const StoredValue& value) noexcept {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return Decimal{*integer, 0};
  }
  return decimal_of(std::get<double>(value));
}

/// The numbers as integers of one common power of ten; false when some number is no decimal, or
/// would lose by the common power.
bool take_mantissas(std::span<const StoredSample> samples, unsigned& places,
                    std::vector<std::int64_t>& mantissas, std::vector<std::int64_t>& scratch) {
  mantissas.clear();
  scratch.clear();
  places = 0;
  for (const StoredSample& sample : samples) {
    if (!is_number(type_of(sample.value))) {
      continue;
    }
    const auto decimal = decimal_of_value(sample.value);
    if (!decimal) {
      return false;
    }
    mantissas.push_back(decimal->mantissa);
    scratch.push_back(static_cast<std::int64_t>(decimal->places));
    places = std::max(places, decimal->places);
  }
  if (places == 0) {
    return true;
  }
  for (std::size_t i = 0; i < mantissas.size(); ++i) {
    const std::int64_t factor = powers_of_ten[places - static_cast<unsigned>(scratch[i])];
    const std::int64_t limit = exact_integer_max / factor;
    if (mantissas[i] > limit || mantissas[i] < -limit) {
      return false;
    }
    mantissas[i] *= factor;
  }
  return true;
}

std::uint64_t bits_of(const StoredValue& value) noexcept {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return static_cast<std::uint64_t>(*integer);
  }
  return std::bit_cast<std::uint64_t>(std::get<double>(value));
}

void encode_numbers(std::span<const StoredSample> samples, Workspace& workspace, std::string& out) {
  unsigned places = 0;
  if (take_mantissas(samples, places, workspace.integers, workspace.others)) {
    out.push_back(static_cast<char>(NumberForm::decimal));
    out.push_back(static_cast<char>(places));
    encode_integers(workspace.integers, TryZstd::yes, workspace, out);
    return;
  }
  std::vector<std::uint64_t> patterns;
  patterns.reserve(samples.size());
  for (const StoredSample& sample : samples) {
    if (is_number(type_of(sample.value))) {
      patterns.push_back(bits_of(sample.value));
    }
  }
  out.push_back(static_cast<char>(NumberForm::gorilla));
  encode_gorilla(patterns, out);
}

bool decode_decimals(ByteReader& in, std::size_t count, Workspace& workspace,
                     std::span<StoredSample> samples) {
  const unsigned places = in.byte();
  if (places > decimal_places_max || !decode_integers(in, count, workspace, workspace.integers)) {
    return false;
  }
  std::size_t at = 0;
  for (StoredSample& sample : samples) {
    if (type_of(sample.value) == ValueType::integer) {
      sample.value = workspace.integers[at++] / powers_of_ten[places];
    } else if (type_of(sample.value) == ValueType::real) {
      sample.value = real_of(workspace.integers[at++], places);
    }
  }
  return true;
}

bool decode_patterns(ByteReader& in, std::size_t count, std::span<StoredSample> samples) {
  std::vector<std::uint64_t> patterns;
  patterns.reserve(count);
  if (!decode_gorilla(in, count, patterns)) {
    return false;
  }
  std::size_t at = 0;
  for (StoredSample& sample : samples) {
    if (type_of(sample.value) == ValueType::integer) {
      sample.value = static_cast<std::int64_t>(patterns[at++]);
    } else if (type_of(sample.value) == ValueType::real) {
      sample.value = std::bit_cast<double>(patterns[at++]);
    }
  }
  return true;
}

bool decode_numbers(ByteReader& in, std::size_t count, Workspace& workspace,
                    std::span<StoredSample> samples) {
  switch (static_cast<NumberForm>(in.byte())) {
    case NumberForm::decimal:
      return decode_decimals(in, count, workspace, samples);
    case NumberForm::gorilla:
      return decode_patterns(in, count, samples);
  }
  return false;
}

void encode_booleans(std::span<const StoredSample> samples, Workspace& workspace,
                     std::string& out) {
  workspace.integers.clear();
  for (const StoredSample& sample : samples) {
    if (const auto* boolean = std::get_if<bool>(&sample.value)) {
      workspace.integers.push_back(*boolean ? 1 : 0);
    }
  }
  encode_integers(workspace.integers, TryZstd::no, workspace, out);
}

bool decode_booleans(ByteReader& in, std::size_t count, Workspace& workspace,
                     std::span<StoredSample> samples) {
  if (!decode_integers(in, count, workspace, workspace.integers)) {
    return false;
  }
  std::size_t at = 0;
  for (StoredSample& sample : samples) {
    if (type_of(sample.value) == ValueType::boolean) {
      sample.value = workspace.integers[at++] != 0;
    }
  }
  return true;
}

void encode_texts(std::span<const StoredSample> samples, Workspace& workspace, std::string& out) {
  std::unordered_map<std::string_view, std::int64_t> entries;
  workspace.integers.clear();
  workspace.bytes.clear();
  for (const StoredSample& sample : samples) {
    if (const auto* text = std::get_if<std::string>(&sample.value)) {
      const auto [entry, is_new] =
          entries.try_emplace(*text, static_cast<std::int64_t>(entries.size()));
      workspace.integers.push_back(entry->second);
      if (is_new) {
        append_varint(workspace.bytes, text->size());
        workspace.bytes.append(*text);
      }
    }
  }
  append_varint(out, entries.size());
  append_varint(out, workspace.bytes.size());
  if (workspace.bytes.size() >= dictionary_zstd_min &&
      workspace.zstd.compress(workspace.bytes, workspace.compressed)) {
    append_varint(out, workspace.compressed.size());
    out.append(workspace.compressed);
  } else {
    append_varint(out, 0);
    out.append(workspace.bytes);
  }
  encode_integers(workspace.integers, TryZstd::yes, workspace, out);
}

/// The entries of a dictionary; the views live as long as `in` and the workspace's bytes.
bool read_dictionary(ByteReader& in, std::size_t count, Workspace& workspace,
                     std::vector<std::string_view>& entries) {
  const std::uint64_t entry_count = in.varint();
  const std::uint64_t raw_size = in.varint();
  const std::uint64_t size = in.varint();
  if (!in.ok() || entry_count > count || raw_size > dictionary_bytes_max) {
    return false;
  }
  std::string_view bytes = in.take(size == 0 ? raw_size : size);
  if (size != 0) {
    if (!in.ok() ||
        !workspace.zstd.decompress(bytes, static_cast<std::size_t>(raw_size), workspace.column)) {
      return false;
    }
    bytes = workspace.column;
  }
  ByteReader raw(bytes);
  for (std::uint64_t i = 0; i < entry_count && raw.ok(); ++i) {
    entries.push_back(raw.take(raw.varint()));
  }
  return in.ok() && raw.ok() && raw.at_end();
}

bool decode_texts(ByteReader& in, std::size_t count, Workspace& workspace,
                  std::span<StoredSample> samples) {
  std::vector<std::string_view> entries;
  if (!read_dictionary(in, count, workspace, entries) ||
      !decode_integers(in, count, workspace, workspace.integers)) {
    return false;
  }
  std::size_t at = 0;
  for (StoredSample& sample : samples) {
    if (type_of(sample.value) != ValueType::text) {
      continue;
    }
    const auto entry = static_cast<std::uint64_t>(workspace.integers[at++]);
    if (entry >= entries.size()) {
      return false;
    }
    sample.value.emplace<std::string>(entries[entry]);
  }
  return true;
}

using Counts = std::array<std::size_t, 4>;

bool decode_types(ByteReader& in, Workspace& workspace, std::span<StoredSample> samples,
                  Counts& counts) {
  if (!decode_integers(in, samples.size(), workspace, workspace.integers)) {
    return false;
  }
  for (std::size_t i = 0; i < samples.size(); ++i) {
    switch (workspace.integers[i]) {
      case static_cast<int>(ValueType::integer):
        samples[i].value.emplace<std::int64_t>(0);
        break;
      case static_cast<int>(ValueType::real):
        samples[i].value.emplace<double>(0);
        break;
      case static_cast<int>(ValueType::boolean):
        samples[i].value.emplace<bool>(false);
        break;
      case static_cast<int>(ValueType::text):
        samples[i].value.emplace<std::string>();
        break;
      default:
        return false;
    }
    ++counts[static_cast<std::size_t>(workspace.integers[i])];
  }
  return true;
}

}  // namespace

void encode_values(std::span<const StoredSample> samples, Workspace& workspace, std::string& out) {
  Counts counts{};
  workspace.integers.clear();
  for (const StoredSample& sample : samples) {
    workspace.integers.push_back(static_cast<std::int64_t>(sample.value.index()));
    ++counts[sample.value.index()];
  }
  encode_integers(workspace.integers, TryZstd::no, workspace, out);
  if (counts[0] + counts[1] > 0) {
    encode_numbers(samples, workspace, out);
  }
  if (counts[2] > 0) {
    encode_booleans(samples, workspace, out);
  }
  if (counts[3] > 0) {
    encode_texts(samples, workspace, out);
  }
}

bool decode_values(ByteReader& in, Workspace& workspace, std::span<StoredSample> samples) {
  Counts counts{};
  if (!decode_types(in, workspace, samples, counts)) {
    return false;
  }
  const std::size_t numbers = counts[0] + counts[1];
  return (numbers == 0 || decode_numbers(in, numbers, workspace, samples)) &&
         (counts[2] == 0 || decode_booleans(in, counts[2], workspace, samples)) &&
         (counts[3] == 0 || decode_texts(in, counts[3], workspace, samples)) && in.ok();
}

}  // namespace skerry::twin::series
