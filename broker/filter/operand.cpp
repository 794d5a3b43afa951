// From the text of a value to everything it can mean.
#include "filter/operand.hpp"

#include <charconv>
#include <cmath>

namespace skerry::filter {
namespace {

/// Takes digits from the front of a text, or says that it cannot.
class Digits {
 public:
  explicit Digits(std::string_view text) : rest_(text) {}

  /// Exactly `count` digits with a value in [low, high].
  std::optional<int> number(std::size_t count, int low, int high) {
    int value = 0;
    if (rest_.size() < count) {
      return std::nullopt;
    }
    for (const char digit : rest_.substr(0, count)) {
      if (digit < '0' || digit > '9') {
        return std::nullopt;
      }
      value = value * 10 + (digit - '0');
    }
    rest_.remove_prefix(count);
    return value < low || value > high ? std::nullopt : std::optional{value};
  }

  bool take(char wanted) {
    const bool there = !rest_.empty() && rest_.front() == wanted;
    rest_.remove_prefix(there ? 1 : 0);
    return there;
  }

  char front() const { return rest_.empty() ? '\0' : rest_.front(); }
  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

/// ".123": milliseconds; finer digits are cut.
std::optional<Milliseconds> parse_fraction(Digits& digits) {
  int value = 0;
  int scale = 100;
  auto digit = digits.number(1, 0, 9);
  if (!digit) {
    return std::nullopt;
  }
  for (int count = 0; digit && count < 9; ++count) {
    value += *digit * scale;
    scale /= 10;
    if (digits.front() < '0' || digits.front() > '9') {
      return Milliseconds{value};
    }
    digit = digits.number(1, 0, 9);
  }
  return std::nullopt;
}

/// "", "Z", "+01:00": what to subtract.
std::optional<Milliseconds> parse_zone(Digits& digits) {
  if (digits.at_end() || digits.take('Z') || digits.take('z')) {
    return digits.at_end() ? std::optional{Milliseconds{0}} : std::nullopt;
  }
  const bool east = digits.take('+');
  if (!east && !digits.take('-')) {
    return std::nullopt;
  }
  const auto hours = digits.number(2, 0, 23);
  const auto minutes = hours && digits.take(':') ? digits.number(2, 0, 59) : std::nullopt;
  if (!minutes || !digits.at_end()) {
    return std::nullopt;
  }
  const Milliseconds offset = std::chrono::hours{*hours} + std::chrono::minutes{*minutes};
  return east ? offset : -offset;
}

std::optional<WallTime> parse_date(Digits& digits) {
  const auto year = digits.number(4, 1, 9999);
  const auto month = year && digits.take('-') ? digits.number(2, 1, 12) : std::nullopt;
  const auto day = month && digits.take('-') ? digits.number(2, 1, 31) : std::nullopt;
  if (!day) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year{*year},
                                         std::chrono::month{static_cast<unsigned>(*month)},
                                         std::chrono::day{static_cast<unsigned>(*day)}};
  return date.ok() ? std::optional<WallTime>{std::chrono::sys_days{date}} : std::nullopt;
}

std::optional<TimeLiteral> parse_absolute(std::string_view text) {
  Digits digits{text};
  const auto date = parse_date(digits);
  if (!date) {
    return std::nullopt;
  }
  TimeLiteral literal;
  literal.begin = *date;
  Milliseconds length = std::chrono::days{1};
  if (digits.at_end()) {
    literal.end = literal.begin + length;
    return literal;
  }
  if (!digits.take('T') && !digits.take('t')) {
    return std::nullopt;
  }
  const auto hour = digits.number(2, 0, 23);
  const auto minute = hour && digits.take(':') ? digits.number(2, 0, 59) : std::nullopt;
  if (!minute) {
    return std::nullopt;
  }
  literal.begin += std::chrono::hours{*hour} + std::chrono::minutes{*minute};
  length = std::chrono::minutes{1};
  if (digits.take(':')) {
    const auto second = digits.number(2, 0, 60);  // 60: a leap second, taken for the next one
    if (!second) {
      return std::nullopt;
    }
    literal.begin += std::chrono::seconds{*second};
    length = std::chrono::seconds{1};
    if (digits.take('.')) {
      const auto fraction = parse_fraction(digits);
      if (!fraction) {
        return std::nullopt;
      }
      literal.begin += *fraction;
      length = Milliseconds{1};
    }
  }
  const auto zone = parse_zone(digits);
  if (!zone) {
    return std::nullopt;
  }
  literal.begin -= *zone;
  literal.end = literal.begin + length;
  return literal;
}

std::optional<Milliseconds> unit_of(char letter) {
  switch (letter) {
    case 's':
      return std::chrono::seconds{1};
    case 'm':
      return std::chrono::minutes{1};
    case 'h':
      return std::chrono::hours{1};
    case 'd':
      return std::chrono::days{1};
    case 'w':
      return std::chrono::weeks{1};
    default:
      return std::nullopt;
  }
}

std::optional<TimeLiteral> parse_relative(std::string_view text) {
  TimeLiteral literal;
  literal.relative = true;
  if (text == "now") {
    return literal;
  }
  if (text.size() < 3 || text.size() > 9 || (text.front() != '-' && text.front() != '+')) {
    return std::nullopt;
  }
  std::uint32_t count = 0;
  const char* end = text.data() + text.size() - 1;
  const auto parsed = std::from_chars(text.data() + 1, end, count);
  const auto unit = unit_of(text.back());
  if (parsed.ec != std::errc{} || parsed.ptr != end || !unit) {
    return std::nullopt;
  }
  literal.offset = *unit * static_cast<std::int64_t>(count) * (text.front() == '-' ? -1 : 1);
  return literal;
}

}  // namespace

std::optional<TimeLiteral> parse_time_literal(std::string_view text) {
  const auto relative = parse_relative(text);
  return relative ? relative : parse_absolute(text);
}

std::optional<double> parse_number(std::string_view text) noexcept {
  if (!text.empty() && text.front() == '+') {
    text.remove_prefix(1);
    if (!text.empty() && text.front() == '-') {
      return std::nullopt;
    }
  }
  double value = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc{} || parsed.ptr != end || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

Operand make_operand(std::vector<std::string> parts, bool quoted) {
  Operand operand;
  for (const std::string& part : parts) {
    operand.text += (&part == &parts.front() ? "" : "*") + part;
  }
  operand.parts = std::move(parts);
  if (!operand.has_wildcard()) {
    // Quotes take the meaning from `*` and keywords; a time in quotes is still that time.
    operand.number = parse_number(operand.text);
    operand.time = parse_time_literal(operand.text);
    if (!quoted && (operand.text == "true" || operand.text == "false")) {
      operand.boolean = operand.text == "true";
    }
  }
  return operand;
}

}  // namespace skerry::filter
