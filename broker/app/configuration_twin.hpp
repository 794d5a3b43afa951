// The `twin:` section: how many series there may be and how long they are kept.
#pragma once

#include <string>

#include "app/configuration_section.hpp"

namespace skerry::app {

/// Reads what `node` names into `twin`. Throws ConfigurationError.
void read_twin(const std::string& name, const YAML::Node& node, TwinConfiguration& twin);

/// The section in YAML with a comment for each key.
std::string twin_text(const TwinConfiguration& twin);

}  // namespace skerry::app
