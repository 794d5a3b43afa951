// What each command does, apart from how its words are parsed.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "cli/settings.hpp"

namespace skerry::cli {

enum class Output : std::uint8_t { table, json };

/// What every command is given.
struct Session {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  Settings settings;          ///< saved ones with the flags of this call over them
  std::string settings_path;  ///< where login saves
  Output output = Output::table;
};

struct LoginOptions {
  std::string server;  ///< empty: the saved one, then https://127.0.0.1:8443
  std::string user = "admin";
  std::string password;  ///< empty: $SKERRY_PASSWORD, then asked for
  std::string ca_file;
  std::string data_dir;  ///< the server's, for its ca/root.crt
  std::int64_t expires_in_seconds = 30 * 86400;
};
void login(Session& session, const LoginOptions& options);

struct DeviceAddOptions {
  std::string id;
  std::vector<std::string> key_files;
  std::vector<std::string> fingerprints;
  std::string generate_directory;
};
void devices_add(Session& session, const DeviceAddOptions& options);
void devices_list(Session& session);
void devices_show(Session& session, const std::string& id);
void devices_delete(Session& session, const std::string& id);

struct EnrollOptions {
  std::string id;
  std::string key_file;
  std::string directory = ".";
  std::string est;  ///< empty: port 8444 of the server
};
void device_enroll(Session& session, const EnrollOptions& options);

struct QueryOptions {
  std::string id;
  std::vector<std::string> keys;
  std::string from;
  std::string to;
  std::string order;
  std::optional<std::uint32_t> limit;
};
void telemetry_latest(Session& session, const std::string& id);
void telemetry_query(Session& session, const QueryOptions& options);

}  // namespace skerry::cli
