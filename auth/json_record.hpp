// Small records of Family::admin as a version byte and JSON. They are few and read once at start;
// what is many or hot has a binary form of its own (registry_record.hpp).
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/now.hpp"

namespace skerry::auth {

std::string encode_json_record(const boost::json::object& record);
/// nullopt for a record that is damaged or of a newer version.
std::optional<boost::json::object> decode_json_record(std::string_view value);

/// A member, or nothing of that kind when it is absent or something else.
std::string text_member(const boost::json::object& record, std::string_view name);
std::int64_t number_member(const boost::json::object& record, std::string_view name);
WallTime time_member(const boost::json::object& record, std::string_view name);
std::vector<std::string> texts_member(const boost::json::object& record, std::string_view name);

}  // namespace skerry::auth
