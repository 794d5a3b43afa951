#include "http/json_members.hpp"

#include <boost/json/basic_parser_impl.hpp>
#include <cstdint>
#include <limits>
#include <set>
#include <vector>

#include "http/json_body.hpp"

namespace skerry::http {
namespace {

using boost::json::error_code;
using boost::json::string_view;

constexpr std::size_t name_shown_max = 64;

/// What basic_parser calls while it reads: false stops it.
struct MemberHandler {
  static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_array_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_key_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_string_size = std::numeric_limits<std::size_t>::max();

  struct Level {
    bool is_object = false;
    std::set<std::string, std::less<>> names = {};
    std::string name = {};  ///< of the member that is being read
    std::size_t index = 0;  ///< of the element that is being read
  };

  std::vector<Level> levels;
  std::string name;  ///< as far as it has been read
  std::optional<std::string> repeated;

  std::string pointer() const {
    std::string text;
    for (const Level& level : levels) {
      text += "/" + (level.is_object ? pointer_part(level.name) : std::to_string(level.index));
    }
    return text;
  }
  bool open(bool is_object) {
    levels.push_back({is_object});
    return true;
  }
  bool close() {
    levels.pop_back();
    return value();
  }
  bool value() {
    if (!levels.empty() && !levels.back().is_object) {
      ++levels.back().index;
    }
    return true;
  }

  bool on_key_part(string_view part, std::size_t /*size*/, error_code& /*error*/) {
    name.append(part.data(), part.size());
    return true;
  }
  bool on_key(string_view part, std::size_t /*size*/, error_code& error) {
    name.append(part.data(), part.size());
    Level& level = levels.back();
    level.name = std::move(name);
    name.clear();
    if (!level.names.insert(level.name).second) {
      repeated = pointer();
      error = boost::json::error::exception;  // stops the parser; nobody looks at it
      return false;
    }
    return true;
  }

  bool on_object_begin(error_code& /*error*/) { return open(true); }
  bool on_object_end(std::size_t /*size*/, error_code& /*error*/) { return close(); }
  bool on_array_begin(error_code& /*error*/) { return open(false); }
  bool on_array_end(std::size_t /*size*/, error_code& /*error*/) { return close(); }
  bool on_string(string_view /*part*/, std::size_t /*size*/, error_code& /*error*/) {
    return value();
  }
  bool on_int64(std::int64_t /*number*/, string_view /*text*/, error_code& /*error*/) {
    return value();
  }
  bool on_uint64(std::uint64_t /*number*/, string_view /*text*/, error_code& /*error*/) {
    return value();
  }
  bool on_double(double /*number*/, string_view /*text*/, error_code& /*error*/) { return value(); }
  bool on_bool(bool /*truth*/, error_code& /*error*/) { return value(); }
  bool on_null(error_code& /*error*/) { return value(); }

  static bool on_document_begin(error_code& /*error*/) { return true; }
  static bool on_document_end(error_code& /*error*/) { return true; }
  static bool on_string_part(string_view /*part*/, std::size_t /*size*/, error_code& /*error*/) {
    return true;
  }
  static bool on_number_part(string_view /*part*/, error_code& /*error*/) { return true; }
  static bool on_comment_part(string_view /*part*/, error_code& /*error*/) { return true; }
  static bool on_comment(string_view /*part*/, error_code& /*error*/) { return true; }
};

}  // namespace

std::optional<std::string> repeated_member(std::string_view json) {
  boost::json::parse_options options;
  options.max_depth = json_depth_max;
  boost::json::basic_parser<MemberHandler> parser{options};
  error_code ignored;
  parser.write_some(false, json.data(), json.size(), ignored);
  return std::move(parser.handler().repeated);
}

std::string pointer_part(std::string_view name) {
  std::string shown;
  for (const char c : name.substr(0, name_shown_max)) {
    shown += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  }
  return shown;
}

}  // namespace skerry::http
