// What `login` saves so that later commands need no flags: server, token, CA. One JSON file, 0600.
#pragma once

#include <string>

namespace skerry::cli {

struct Settings {
  std::string server;  ///< "https://127.0.0.1:8443"
  std::string token;
  std::string ca_pem;  ///< the CA that the server's certificate must come from
};

/// $XDG_CONFIG_HOME/skerry/config.json, by default below ~/.config.
std::string default_settings_path();

/// Empty settings when there is no file; throws Failure when there is one that cannot be read.
Settings load_settings(const std::string& path);

/// Throws Failure.
void save_settings(const std::string& path, const Settings& settings);

}  // namespace skerry::cli
