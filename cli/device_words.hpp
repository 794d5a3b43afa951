// What the commands about devices share: the details that flags give, and how devices are shown.
#pragma once

#include <optional>

#include "cli/api.hpp"
#include "cli/command_line.hpp"
#include "cli/output.hpp"

namespace skerry::cli {

struct DeviceDetails {
  std::optional<std::string> name;
  std::optional<std::string> model;
  std::optional<std::string> serial_number;
  std::vector<std::string> tags;
  std::vector<std::string> attributes;  ///< "name=value"
  std::string not_after;                ///< RFC 3339, or "never"
};

/// --name, --model, --serial-number, --tag, --attribute, --not-after.
void add_detail_flags(CLI::App& command, DeviceDetails& details);

/// The members that were given. Throws Failure (usage) for an attribute without "=".
boost::json::object json_of(const DeviceDetails& details);

/// The device's tags with some more and some less.
boost::json::array changed_tags(const boost::json::object& device,
                                const std::vector<std::string>& more,
                                const std::vector<std::string>& less);

/// "/api/v1/devices/ID"; throws Failure (usage) for what is no id.
std::string device_target(const std::string& id);

std::vector<Column> device_columns(bool wide);
void print_device(Session& session, const boost::json::object& device);

}  // namespace skerry::cli
