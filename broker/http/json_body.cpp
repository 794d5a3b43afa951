// Reading a JSON request body under caps.
#include "http/json_body.hpp"

#include <algorithm>
#include <boost/json/stream_parser.hpp>

#include "http/json_members.hpp"

namespace skerry::http {
namespace {

/// True for "application/json" and "application/…+json", with or without parameters.
bool is_json_type(std::string_view type) {
  type = type.substr(0, type.find(';'));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) {
    type.remove_suffix(1);
  }
  std::string lower{type};
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return lower == "application/json" ||
         (lower.starts_with("application/") && lower.ends_with("+json"));
}

std::string at_line_and_column(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t start = before.rfind('\n');
  const std::size_t column = before.size() - (start == std::string_view::npos ? 0 : start + 1) + 1;
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

}  // namespace

Result<boost::json::object, Response> parse_json_object(const Request& request) {
  const std::string_view type = request.header("content-type");
  if (!type.empty() && !is_json_type(type)) {
    return problem(415, "unsupported_media_type", "the body must be application/json");
  }
  if (request.body.empty()) {
    return problem(400, "body_missing", "a JSON object is needed as the body");
  }
  boost::json::parse_options options;
  options.max_depth = json_depth_max;
  boost::json::stream_parser parser{{}, options};
  boost::json::error_code error;
  const std::size_t used = parser.write_some(request.body, error);
  if (!error && used < request.body.size()) {
    error = boost::json::error::extra_data;
  }
  if (!error) {
    parser.finish(error);
  }
  if (error) {
    const std::string reason =
        error == boost::json::error::too_deep ? "it is nested too deeply" : error.message();
    return problem(
        400, "malformed_json",
        "the body is not valid JSON at " + at_line_and_column(request.body, used) + ": " + reason);
  }
  boost::json::value value = parser.release();
  if (!value.is_object()) {
    return problem(400, "malformed_json", "the body must be a JSON object");
  }
  if (const auto pointer = repeated_member(request.body)) {
    return problem(400, "repeated_member", "the member \"" + *pointer + "\" is there twice",
                   *pointer);
  }
  return std::move(value.get_object());
}

Result<std::string, Response> string_field(const boost::json::object& body, std::string_view name) {
  const boost::json::value* value = body.if_contains(name);
  const std::string pointer = "/" + std::string{name};
  if (value == nullptr) {
    return problem(422, "field_missing", "\"" + std::string{name} + "\" is needed", pointer);
  }
  if (!value->is_string()) {
    return problem(422, "field_invalid", "\"" + std::string{name} + "\" must be a string", pointer);
  }
  return std::string{value->get_string()};
}

std::optional<Response> refuse_unknown_fields(const boost::json::object& body,
                                              std::initializer_list<std::string_view> known) {
  for (const auto& member : body) {
    const std::string_view name{member.key()};
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      std::string expected;
      for (const std::string_view field : known) {
        expected += (expected.empty() ? "" : ", ") + std::string{field};
      }
      return problem(
          422, "unknown_field",
          "\"" + std::string{name.substr(0, 64)} + "\" is not known here; known are " + expected,
          "/" + pointer_part(name));
    }
  }
  return std::nullopt;
}

}  // namespace skerry::http
