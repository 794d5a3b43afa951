// The `limits:` section as a table, from which it is both read and printed.
#pragma once

#include <string>

#include "app/configuration_section.hpp"

namespace skerry::app {

/// Reads what `node` names into `limits`. Throws ConfigurationError.
void read_limits(const std::string& name, const YAML::Node& node, Limits& limits);

/// Reads `limits:` of a listener; what it does not say of rates is as in `otherwise`.
void read_listener_limits(const Section& listener, const Limits& otherwise, ListenerLimits& limits);

/// The same in YAML, indented; empty when the listener has none of its own.
std::string listener_limits_text(const ListenerLimits& limits);

/// The section in YAML, indented, with a comment for each key.
std::string limits_text(const Limits& limits);

}  // namespace skerry::app
