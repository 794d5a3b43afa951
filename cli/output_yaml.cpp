// JSON values as YAML blocks. Strings that YAML would take for something else are written as JSON
// strings, which YAML reads as they are.
#include <algorithm>
#include <boost/json/serialize.hpp>

#include "cli/output.hpp"

namespace skerry::cli {
namespace {

/// Is it a string to every YAML reader, of 1.1 and 1.2, without quotes?
bool is_plain(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const bool harmless = !text.empty() && text.size() <= 256 && letter(text.front()) &&
                        text.back() != ' ' && std::all_of(text.begin(), text.end(), [&](char c) {
                          return letter(c) || (c >= '0' && c <= '9') ||
                                 std::string_view{" -_./"}.find(c) != std::string_view::npos;
                        });
  std::string lower{text};
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  static constexpr std::string_view words[] = {"true", "false", "yes", "no", "on",
                                               "off",  "null",  "y",   "n"};
  return harmless && std::find(std::begin(words), std::end(words), lower) == std::end(words);
}

std::string scalar(const boost::json::value& value) {
  if (value.is_string() && is_plain(value.get_string())) {
    return std::string{value.get_string()};
  }
  return json_text(value);
}

bool is_block(const boost::json::value& value) {
  return (value.is_object() && !value.get_object().empty()) ||
         (value.is_array() && !value.get_array().empty());
}

}  // namespace

std::string yaml_text(const boost::json::value& value, std::size_t depth) {
  const std::string indent(2 * depth, ' ');
  if (!is_block(value)) {
    return indent + scalar(value) + "\n";
  }
  std::string text;
  if (value.is_array()) {
    for (const boost::json::value& item : value.get_array()) {
      // The first line of what is inside stands behind the dash.
      std::string inner = yaml_text(item, depth + 1);
      inner.replace(2 * depth, 2, "- ");
      text += inner;
    }
    return text;
  }
  for (const auto& member : value.get_object()) {
    text += indent + scalar(boost::json::value(member.key())) + ":";
    text += is_block(member.value()) ? "\n" + yaml_text(member.value(), depth + 1)
                                     : " " + scalar(member.value()) + "\n";
  }
  return text;
}

}  // namespace skerry::cli
