// Reading a JSON request body under caps: what does not parse becomes a problem that says where.
#pragma once

#include <boost/json/object.hpp>

#include "base/result.hpp"
#include "http/message.hpp"

namespace skerry::http {

/// Levels of nesting in a request body.
inline constexpr std::size_t json_depth_max = 16;

/// The body as an object, or the problem to answer: 415 when the Content-Type is not JSON, 400
/// `malformed_json` with position when it does not parse, 400 when it is no object, 400
/// `repeated_member` with its pointer when a member is there twice. A missing Content-Type counts
/// as JSON.
Result<boost::json::object, Response> parse_json_object(const Request& request);

/// The string at `name`, or the 422 problem with the pointer of the field when it is absent or no
/// string. `name` must be a plain member name.
Result<std::string, Response> string_field(const boost::json::object& body, std::string_view name);

/// 422 `unknown_field` naming the first member of `body` that is not among `known`; empty when all
/// are known. A misspelled optional field must not be ignored silently.
std::optional<Response> refuse_unknown_fields(const boost::json::object& body,
                                              std::initializer_list<std::string_view> known);

}  // namespace skerry::http
