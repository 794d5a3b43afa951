// What the telemetry commands share. Only for cli/telemetry*.cpp.
#pragma once

#include <string>
#include <vector>

#include "cli/command_line.hpp"

namespace skerry::cli {

/// "/api/v1/devices/{id}" and `resource`; throws Failure (usage) when it cannot be an id.
std::string telemetry_target(const std::string& id, const char* resource);

/// The keys by commas; a comma or backslash inside a key is written with a backslash before it.
std::string join_keys(const std::vector<std::string>& keys);

/// telemetry tail.
void add_tail_command(CommandLine& line, CLI::App& telemetry);

}  // namespace skerry::cli
