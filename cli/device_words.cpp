// What the commands about devices share.
#include "cli/device_words.hpp"

#include <algorithm>
#include <set>

#include "cli/failure.hpp"
#include "cli/key_file.hpp"

namespace skerry::cli {
namespace {

const boost::json::array& list_at(const boost::json::object& object, const char* name) {
  static const boost::json::array nothing;
  const boost::json::value* value = object.if_contains(name);
  return value != nullptr && value->is_array() ? value->get_array() : nothing;
}

/// The newest certificate's end; "-" without one.
std::string valid_until(const boost::json::object& device) {
  std::string latest = "-";
  for (const boost::json::value& key : list_at(device, "keys")) {
    for (const boost::json::value& certificate : list_at(key.as_object(), "certificates")) {
      const std::string end = cell(certificate.as_object().if_contains("notAfter"));
      latest = latest == "-" || end > latest ? end : latest;  // RFC 3339 in UTC sorts as text
    }
  }
  return latest;
}

std::string key_count(const boost::json::object& device) {
  return std::to_string(list_at(device, "keys").size());
}

void add_key_rows(const boost::json::object& device, std::vector<Row>& rows) {
  for (const boost::json::value& value : list_at(device, "keys")) {
    const boost::json::object& key = value.as_object();
    const boost::json::value* end = key.if_contains("notAfter");
    rows.push_back({"key", "sha256:" + cell(key.if_contains("fingerprint")) +
                               (end == nullptr ? "" : " until " + cell(end))});
    for (const boost::json::value& certificate : list_at(key, "certificates")) {
      rows.push_back({"certificate", cell(certificate.as_object().if_contains("serial")) +
                                         " until " +
                                         cell(certificate.as_object().if_contains("notAfter"))});
    }
  }
}

}  // namespace

void add_detail_flags(CLI::App& command, DeviceDetails& details) {
  command.add_option("--name", details.name, "A name for people");
  command.add_option("--model", details.model, "What kind of device it is");
  command.add_option("--serial-number", details.serial_number, "The maker's serial number");
  command.add_option("--tag", details.tags, "A tag; may be given more than once")
      ->allow_extra_args(false);
  command.add_option("--attribute", details.attributes, "NAME=VALUE; may be given more than once")
      ->allow_extra_args(false);
  command.add_option("--not-after", details.not_after,
                     "End of its right to enrol and connect: RFC 3339, or never");
}

boost::json::object json_of(const DeviceDetails& details) {
  boost::json::object object;
  const auto add = [&](const char* name, const std::optional<std::string>& value) {
    if (value) {
      object[name] = *value;
    }
  };
  add("name", details.name);
  add("model", details.model);
  add("serialNumber", details.serial_number);
  if (!details.tags.empty()) {
    boost::json::array tags;
    for (const std::string& tag : details.tags) {
      tags.emplace_back(tag);
    }
    object["tags"] = std::move(tags);
  }
  boost::json::object attributes;
  for (const std::string& text : details.attributes) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw Failure("an attribute is written NAME=VALUE, not \"" + text + "\"", exit_usage);
    }
    attributes[text.substr(0, equals)] = text.substr(equals + 1);
  }
  if (!attributes.empty()) {
    object["attributes"] = std::move(attributes);
  }
  if (details.not_after == "never") {
    object["notAfter"] = nullptr;
  } else if (!details.not_after.empty()) {
    object["notAfter"] = details.not_after;
  }
  return object;
}

boost::json::array changed_tags(const boost::json::object& device,
                                const std::vector<std::string>& more,
                                const std::vector<std::string>& less) {
  std::set<std::string> tags{more.begin(), more.end()};
  for (const boost::json::value& tag : list_at(device, "tags")) {
    tags.insert(cell(&tag));
  }
  for (const std::string& tag : less) {
    tags.erase(tag);
  }
  boost::json::array array;
  for (const std::string& tag : tags) {
    array.emplace_back(tag);
  }
  return array;
}

std::string device_target(const std::string& id) {
  check_device_id(id);
  return "/api/v1/devices/" + percent_encode(id);
}

std::vector<Column> device_columns(bool wide) {
  std::vector<Column> columns{{"ID", "id"}, {"STATE", "state"}, {"NAME", "name"}};
  columns.push_back({"MODEL", "model"});
  columns.push_back({"TAGS", "tags"});
  if (wide) {
    columns.push_back({"ONLINE", "online"});
    columns.push_back({"LAST SEEN", "lastSeen"});
    columns.push_back({"KEYS", "keyCount", &key_count});
    columns.push_back({"SERIAL NUMBER", "serialNumber"});
    columns.push_back({"CHANGED", "changedAt"});
  }
  columns.push_back({"CERTIFICATE UNTIL", "certificateUntil", &valid_until});
  columns.push_back({"CREATED", "createdAt"});
  return columns;
}

void print_device(Session& session, const boost::json::object& device) {
  std::vector<Row> rows;
  for (const auto& member : device) {
    const std::string name{member.key()};
    const bool is_empty = member.value().is_string() && member.value().get_string().empty();
    if (name == "keys" || is_empty) {
      continue;
    }
    for (Row& row : rows_of({{name, member.value()}})) {
      rows.push_back(std::move(row));
    }
  }
  add_key_rows(device, rows);
  print_object(session, device, rows);
}

}  // namespace skerry::cli
