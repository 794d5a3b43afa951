#include "device/sample.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace skerry::agent {

namespace {

template <typename Number>
std::string number_text(Number number) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  return {text.data(), end};
}

struct ToJson {
  std::string operator()(double number) const { return number_text(number); }
  std::string operator()(std::int64_t number) const { return number_text(number); }
  std::string operator()(bool truth) const { return truth ? "true" : "false"; }
  std::string operator()(const std::string& text) const { return json_string(text); }
};

bool is_sayable(const Value& value) {
  const double* number = std::get_if<double>(&value);
  return number == nullptr || std::isfinite(*number);
}

}  // namespace

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(c));
      out += escape.data();
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string json_object(const Readings& readings) {
  std::string out = "{";
  for (const Reading& reading : readings) {
    if (is_sayable(reading.value)) {
      out += out.size() > 1 ? "," : "";
      out += json_string(reading.key) + ':' + std::visit(ToJson{}, reading.value);
    }
  }
  return out + '}';
}

}  // namespace skerry::agent
