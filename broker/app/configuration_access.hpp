// The sections `authentication` and `authorization`: who may sign tokens, and the named policies.
#pragma once

#include <string>

#include "app/configuration.hpp"
#include "app/configuration_section.hpp"

namespace skerry::app {

void read_access(const Section& top, Configuration& configuration);

/// Both sections as a file would say them.
std::string access_text(const Configuration& configuration);

}  // namespace skerry::app
