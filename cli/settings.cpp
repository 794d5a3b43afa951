// What `login` saves.
#include "cli/settings.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdlib>
#include <filesystem>

#include "cli/failure.hpp"
#include "cli/file.hpp"

namespace skerry::cli {

std::string default_settings_path() {
  const char* base = std::getenv("XDG_CONFIG_HOME");
  if (base != nullptr && *base == '/') {
    return std::string{base} + "/skerry/config.json";
  }
  const char* home = std::getenv("HOME");
  return std::string{home == nullptr ? "/root" : home} + "/.config/skerry/config.json";
}

Settings load_settings(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    return {};
  }
  boost::json::error_code error;
  const boost::json::value saved = boost::json::parse(read_file(path, "the configuration"), error);
  if (error || !saved.is_object()) {
    throw Failure("the configuration " + path + " is no JSON object; log in again");
  }
  const auto text = [&](const char* name) {
    const boost::json::value* member = saved.get_object().if_contains(name);
    return member != nullptr && member->is_string() ? std::string{member->get_string()}
                                                    : std::string{};
  };
  return {text("server"), text("token"), text("ca")};
}

void save_settings(const std::string& path, const Settings& settings) {
  boost::json::object saved;
  saved["server"] = settings.server;
  saved["token"] = settings.token;
  saved["ca"] = settings.ca_pem;
  write_file(path, boost::json::serialize(saved) + "\n", 0600);
}

}  // namespace skerry::cli
