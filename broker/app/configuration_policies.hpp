// Named policies in YAML, in the configuration file under `authorization.policies` or in files of
// their own under `policies`. The same sentences for mistakes, with file, line and what to write.
#pragma once

#include <yaml-cpp/yaml.h>

#include <string>
#include <string_view>
#include <vector>

#include "app/configuration.hpp"
#include "auth/policy_source.hpp"

namespace skerry::app {

/// Adds the policies of a map `name: policy`. `path` is how errors call it.
void read_policies(const std::string& file, const std::string& path, const YAML::Node& node,
                   std::vector<auth::PolicySource>& policies);

/// A policy file: `policies:` and nothing else. Throws ConfigurationError.
std::vector<auth::PolicySource> parse_policies(std::string_view text, const std::string& name);

/// The files that `policy_files` name, a directory standing for its *.yaml in order, read and
/// joined to those of the configuration file; then checks that every policy that something refers
/// to is there. Throws ConfigurationError.
void load_policies(Configuration& configuration);

/// As the file would say it, each line behind `indent`.
std::string policies_text(const std::vector<auth::PolicySource>& policies,
                          const std::string& indent);

}  // namespace skerry::app
