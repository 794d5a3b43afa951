// Application: everything that skerryd is made of, put together and taken apart in the right order.
// The thread that calls run() is the admin loop: REST, EST, metrics, signals and timers.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include "app/configuration.hpp"
#include "app/log.hpp"
#include "shard/test_faults.hpp"

namespace skerry::app {

/// The version of this program, "0.1.0".
std::string version();

struct ApplicationOptions {
  Configuration configuration;
  std::string configuration_path;  ///< read again on SIGHUP; empty: there is none
  bool reset_admin_password = false;
  shard::TestFaults faults;  ///< all off but in the server of the crash lab
};

/// The store opened, and something in it could not be read. Noted in the data directory: the next
/// Application over it sets aside what is damaged.
class StoreDamaged : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Application {
 public:
  /// Does nothing yet. `log` must outlive the application.
  Application(ApplicationOptions options, Log& log);
  /// Stops what is running.
  ~Application();
  Application(const Application&) = delete;
  Application& operator=(const Application&) = delete;

  /// Opens the data directory (and fills it on first start), binds every port, restores the
  /// sessions and lets clients in. Throws std::runtime_error with one clear sentence; after
  /// StoreDamaged, make another Application and start that. Blocks.
  void start();

  /// The block of text for whoever started us: addresses, and the admin password when it is new.
  std::string welcome() const;

  /// Serves until SIGTERM or SIGINT, then stops in order: ports, sessions, store.
  void run();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace skerry::app
