// What every scenario is told.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "fleet.hpp"

namespace skerry::bench {

struct Common {
  Fleet::Options fleet;
  std::string client_prefix = "bench-";
  std::string user_name;
  std::string password;
  double seconds = 5;
  double warm_up_seconds = 1;
  pid_t broker = 0;  ///< 0: not on this machine
  /// One line about how far the run is; may be empty.
  std::function<void(const std::string&)> progress = [](const std::string&) {};

  int version() const noexcept { return fleet.version; }
};

/// CONNECT of client `index` of a run. A session expiry in seconds makes the session stay.
ConnectFields connect_fields(const Common& common, ClientIndex index,
                             std::uint32_t session_expiry = 0);
std::string client_id_of(const Common& common, ClientIndex index);

}  // namespace skerry::bench
