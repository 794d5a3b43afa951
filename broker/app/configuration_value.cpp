// Numbers with units. A number without a unit is a size in bytes and no duration at all.
#include "app/configuration_value.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <vector>

namespace skerry::app {

namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::array<Unit, 5> duration_units{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"min", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::array<Unit, 4> size_units{
    {{"GiB", 1024ull * 1024 * 1024}, {"MiB", 1024 * 1024}, {"KiB", 1024}, {"", 1}}};

// No product overflows below this; a hundred years of milliseconds are far less.
constexpr std::uint64_t number_max = std::uint64_t{1} << 53;

template <std::size_t count>
std::optional<std::uint64_t> parse(std::string_view text, const std::array<Unit, count>& units) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) {
    return std::nullopt;
  }
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  const auto found = std::find_if(units.begin(), units.end(),
                                  [unit](const Unit& each) { return each.name == unit; });
  if (found == units.end() || number > number_max / found->factor) {
    return std::nullopt;
  }
  return number * found->factor;
}

template <std::size_t count>
std::string format(std::uint64_t number, const std::array<Unit, count>& units) {
  for (const Unit& unit : units) {
    if (number >= unit.factor && number % unit.factor == 0) {
      return std::to_string(number / unit.factor) + std::string(unit.name);
    }
  }
  return "0" + std::string(units.back().name);
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) noexcept {
  const auto number = parse(text, duration_units);
  if (!number) {
    return std::nullopt;
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(*number));
}

std::string format_duration(std::chrono::milliseconds duration) {
  return format(static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0)),
                duration_units);
}

std::optional<std::uint64_t> parse_size(std::string_view text) noexcept {
  return parse(text, size_units);
}

std::string format_size(std::uint64_t bytes) {
  return format(bytes, size_units);
}

std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char character : text) {
    result += character == '\'' ? "''" : std::string(1, character);
  }
  return result + "'";
}

std::size_t edit_distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> row(right.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < left.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < right.size(); ++j) {
      const std::size_t replaced = diagonal + (left[i] == right[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace skerry::app
