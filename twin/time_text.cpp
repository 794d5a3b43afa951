#include "twin/time_text.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "twin/sample.hpp"

namespace skerry::twin {
namespace {

/// Reads `text` from the left, one fixed element after the other.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  /// Exactly `count` digits.
  std::optional<int> digits(std::size_t count) noexcept {
    if (rest_.size() < count) {
      return std::nullopt;
    }
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (rest_[i] < '0' || rest_[i] > '9') {
        return std::nullopt;
      }
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(count);
    return value;
  }

  /// One of the characters in `set`, which is returned; '\0' when there is none.
  char one_of(std::string_view set) noexcept {
    if (rest_.empty() || set.find(rest_.front()) == std::string_view::npos) {
      return '\0';
    }
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

  bool at_end() const noexcept { return rest_.empty(); }

 private:
  std::string_view rest_;
};

std::optional<std::int64_t> scan_date(Scanner& in) noexcept {
  const auto year = in.digits(4);
  const bool dash_1 = in.one_of("-") != '\0';
  const auto month = in.digits(2);
  const bool dash_2 = in.one_of("-") != '\0';
  const auto day = in.digits(2);
  if (!year || !dash_1 || !month || !dash_2 || !day) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (*year == 0 || !date.ok()) {
    return std::nullopt;
  }
  return std::chrono::sys_days(date).time_since_epoch().count();
}

/// Milliseconds of the day; digits behind the third are read and dropped.
std::optional<std::int64_t> scan_time(Scanner& in) noexcept {
  const auto hour = in.digits(2);
  const bool colon_1 = in.one_of(":") != '\0';
  const auto minute = in.digits(2);
  const bool colon_2 = in.one_of(":") != '\0';
  const auto second = in.digits(2);
  if (!hour || !colon_1 || !minute || !colon_2 || !second) {
    return std::nullopt;
  }
  if (*hour > 23 || *minute > 59 || *second > 60) {  // A leap second is the one that follows.
    return std::nullopt;
  }
  std::int64_t milliseconds = ((*hour * 60 + *minute) * 60 + *second) * std::int64_t{1000};
  if (in.one_of(".") != '\0') {
    std::int64_t weight = 100;
    auto digit = in.digits(1);
    if (!digit) {
      return std::nullopt;
    }
    for (; digit; digit = in.digits(1), weight /= 10) {
      milliseconds += *digit * weight;
    }
  }
  return milliseconds;
}

/// Milliseconds that local time is ahead of UTC.
std::optional<std::int64_t> scan_offset(Scanner& in) noexcept {
  if (in.one_of("Zz") != '\0') {
    return 0;
  }
  const char sign = in.one_of("+- ");
  const auto hours = in.digits(2);
  const bool colon = in.one_of(":") != '\0';
  const auto minutes = in.digits(2);
  if (sign == '\0' || !hours || !colon || !minutes || *hours > 23 || *minutes > 59) {
    return std::nullopt;
  }
  const std::int64_t offset = (*hours * 60 + *minutes) * std::int64_t{60'000};
  return sign == '-' ? -offset : offset;
}

/// RFC 3339 section 5.6.
std::optional<std::int64_t> parse_rfc3339(std::string_view text) noexcept {
  Scanner in(text);
  const auto days = scan_date(in);
  if (!days || in.one_of("Tt ") == '\0') {
    return std::nullopt;
  }
  const auto milliseconds = scan_time(in);
  if (!milliseconds) {
    return std::nullopt;
  }
  const auto offset = scan_offset(in);
  if (!offset || !in.at_end()) {
    return std::nullopt;
  }
  return *days * 86'400'000 + *milliseconds - *offset;
}

std::optional<std::int64_t> unit_milliseconds(std::string_view unit) noexcept {
  constexpr std::pair<std::string_view, std::int64_t> units[] = {
      {"ms", 1},        {"s", 1000},       {"m", 60'000},
      {"h", 3'600'000}, {"d", 86'400'000}, {"w", 604'800'000},
  };
  for (const auto& [name, milliseconds] : units) {
    if (unit == name) {
      return milliseconds;
    }
  }
  return std::nullopt;
}

std::optional<std::int64_t> parse_relative(std::string_view text, WallTime now) noexcept {
  if (text == "now") {
    return epoch_milliseconds(now);
  }
  if (!text.starts_with('-')) {
    return std::nullopt;
  }
  const auto duration = parse_duration(text.substr(1));
  return duration ? std::optional(epoch_milliseconds(now) - *duration) : std::nullopt;
}

std::optional<std::int64_t> parse_integer(std::string_view text) noexcept {
  std::int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc{} || stop != end) {
    return std::nullopt;
  }
  return value;
}

/// `digits` of them, with zeros in front.
void append_digits(std::string& out, std::int64_t number, int digits) {
  char text[8];
  for (int i = digits; i > 0; --i, number /= 10) {
    text[i - 1] = static_cast<char>('0' + number % 10);
  }
  out.append(text, static_cast<std::size_t>(digits));
}

}  // namespace

std::optional<std::int64_t> parse_duration(std::string_view text) noexcept {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto unit = unit_milliseconds(text.substr(digits));
  constexpr std::size_t digits_max = 9;  // A thousand million weeks do not overflow.
  std::int64_t amount = 0;
  if (!unit || digits == 0 || digits > digits_max) {
    return std::nullopt;
  }
  std::from_chars(text.data(), text.data() + digits, amount);
  return amount * *unit;
}

std::optional<std::int64_t> parse_instant(std::string_view text, WallTime now) noexcept {
  if (const auto integer = parse_integer(text)) {
    return integer;
  }
  if (const auto relative = parse_relative(text, now)) {
    return relative;
  }
  return parse_rfc3339(text);
}

void append_rfc3339(std::string& out, std::int64_t epoch_milliseconds) {
  using std::chrono::days;
  using std::chrono::floor;
  using std::chrono::milliseconds;
  const std::chrono::sys_time<milliseconds> instant{
      milliseconds{std::clamp(epoch_milliseconds, timestamp_min, timestamp_max)}};
  const auto day = floor<days>(instant);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss time{instant - day};
  append_digits(out, static_cast<int>(date.year()), 4);
  out.push_back('-');
  append_digits(out, static_cast<unsigned>(date.month()), 2);
  out.push_back('-');
  append_digits(out, static_cast<unsigned>(date.day()), 2);
  out.push_back('T');
  append_digits(out, time.hours().count(), 2);
  out.push_back(':');
  append_digits(out, time.minutes().count(), 2);
  out.push_back(':');
  append_digits(out, time.seconds().count(), 2);
  out.push_back('.');
  append_digits(out, time.subseconds().count(), 3);
  out.push_back('Z');
}

}  // namespace skerry::twin
