#include "auth/json_record.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace skerry::auth {

namespace {

constexpr char record_version = 1;

}  // namespace

std::string encode_json_record(const boost::json::object& record) {
  return std::string(1, record_version) + boost::json::serialize(record);
}

std::optional<boost::json::object> decode_json_record(std::string_view value) {
  if (value.empty() || value.front() != record_version) {
    return std::nullopt;
  }
  boost::json::error_code error;
  const boost::json::value record = boost::json::parse(value.substr(1), error);
  if (error || !record.is_object()) {
    return std::nullopt;
  }
  return record.get_object();
}

std::string text_member(const boost::json::object& record, std::string_view name) {
  const boost::json::value* member = record.if_contains(name);
  return member != nullptr && member->is_string() ? std::string{member->get_string()}
                                                  : std::string{};
}

std::int64_t number_member(const boost::json::object& record, std::string_view name) {
  const boost::json::value* member = record.if_contains(name);
  return member != nullptr && member->is_int64() ? member->get_int64() : 0;
}

WallTime time_member(const boost::json::object& record, std::string_view name) {
  return wall_from_epoch(number_member(record, name));
}

std::vector<std::string> texts_member(const boost::json::object& record, std::string_view name) {
  std::vector<std::string> texts;
  const boost::json::value* member = record.if_contains(name);
  if (member != nullptr && member->is_array()) {
    for (const boost::json::value& item : member->get_array()) {
      if (item.is_string()) {
        texts.emplace_back(item.get_string());
      }
    }
  }
  return texts;
}

}  // namespace skerry::auth
