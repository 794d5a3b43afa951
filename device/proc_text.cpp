#include "device/proc_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

namespace skerry::agent {

namespace {

/// Takes the next line off the front.
std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

/// Takes the next word off the front; empty at the end.
std::string_view take_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(end);
  return word;
}

template <typename Number>
std::optional<Number> number_of(std::string_view word) {
  Number number{};
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  const bool whole = error == std::errc{} && end == word.data() + word.size();
  return whole ? std::optional{number} : std::nullopt;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = std::min(text.find_first_not_of(" \t\n\r"), text.size());
  const std::size_t end = text.find_last_not_of(" \t\n\r");
  return text.substr(begin, end == std::string_view::npos ? 0 : end + 1 - begin);
}

}  // namespace

std::optional<CpuTicks> parse_stat(std::string_view text) {
  std::string_view line = take_line(text);
  if (take_word(line) != "cpu") {
    return std::nullopt;
  }
  // user nice system idle iowait irq softirq steal; guests are in user and nice already.
  constexpr std::size_t fields = 8;
  constexpr std::size_t idle = 3;
  constexpr std::size_t iowait = 4;
  CpuTicks ticks;
  for (std::size_t field = 0; field < fields; ++field) {
    const std::string_view word = take_word(line);
    const auto value = number_of<std::uint64_t>(word);
    if (word.empty() && field > idle) {
      break;  // an old kernel
    }
    if (!value || *value > std::numeric_limits<std::uint64_t>::max() / fields) {
      return std::nullopt;
    }
    ticks.total += *value;
    ticks.busy += field == idle || field == iowait ? 0 : *value;
  }
  return ticks;
}

std::optional<double> busy_percent(const CpuTicks& before, const CpuTicks& after) {
  if (after.total <= before.total || after.busy < before.busy) {
    return std::nullopt;
  }
  const auto busy = static_cast<double>(after.busy - before.busy);
  const double percent = 100 * busy / static_cast<double>(after.total - before.total);
  return std::min(100.0, std::round(percent * 10) / 10);
}

std::optional<double> parse_first_number(std::string_view text) {
  std::string_view line = take_line(text);
  const auto number = number_of<double>(take_word(line));
  return number && std::isfinite(*number) ? number : std::nullopt;
}

Memory parse_meminfo(std::string_view text) {
  Memory memory;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    const std::string_view name = take_word(line);
    const auto kibibytes = number_of<std::int64_t>(take_word(line));
    if (!kibibytes || *kibibytes < 0 ||
        *kibibytes > std::numeric_limits<std::int64_t>::max() / 1024) {
      continue;
    }
    const std::int64_t bytes = *kibibytes * 1024;
    if (name == "MemTotal:") {
      memory.total = bytes;
    } else if (name == "MemAvailable:") {
      memory.available = bytes;
    } else if (name == "SwapTotal:") {
      memory.swap_total = bytes;
    } else if (name == "SwapFree:") {
      memory.swap_free = bytes;
    }
  }
  return memory;
}

std::vector<Interface> parse_net_dev(std::string_view text, std::size_t count_max) {
  std::vector<Interface> interfaces;
  while (!text.empty() && interfaces.size() < count_max) {
    std::string_view line = take_line(text);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
      continue;  // the two lines of headings
    }
    const std::string_view name = trimmed(line.substr(0, colon));
    line.remove_prefix(colon + 1);
    // bytes packets errs drop fifo frame compressed multicast, received and then sent
    std::array<std::optional<std::int64_t>, 12> fields;
    for (auto& field : fields) {
      field = number_of<std::int64_t>(take_word(line));
    }
    const bool whole = std::all_of(fields.begin(), fields.end(), [](const auto& field) {
      return field && *field >= 0 && *field < std::numeric_limits<std::int64_t>::max() / 2;
    });
    if (whole && !name.empty()) {
      interfaces.push_back({std::string{name}, *fields[0], *fields[8], *fields[2] + *fields[10],
                            *fields[3] + *fields[11]});
    }
  }
  return interfaces;
}

std::optional<std::int64_t> parse_number(std::string_view text) {
  return number_of<std::int64_t>(trimmed(text));
}

std::optional<std::int64_t> parse_field(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    std::string_view line = take_line(text);
    if (take_word(line) == name) {
      return number_of<std::int64_t>(take_word(line));
    }
  }
  return std::nullopt;
}

std::string key_part(std::string_view name) {
  std::string part;
  for (const char c : name) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '_' || c == '-';
    part += plain ? c : '_';
  }
  const std::size_t begin = part.find_first_not_of('_');
  if (begin == std::string::npos) {
    return "root";
  }
  return part.substr(begin, part.find_last_not_of('_') + 1 - begin).substr(0, 48);
}

}  // namespace skerry::agent
