// BackupService: the backups of a running server. One is made at a time, on a thread of its own
// that gives way to the cores; older ones go when there are more than are kept.
//
//   start() ──▶ running ──▶ complete (a directory with its name)
//                     └───▶ failed   (remembered until the next start, in memory)
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "backup/create.hpp"

namespace skerry::backup {

enum class State : std::uint8_t { running, complete, failed, damaged };

struct Info {
  State state = State::complete;
  Manifest manifest;  ///< of a running or failed one: name, created and server_version alone
  Outcome outcome;    ///< why it is failed or damaged
};

struct ServiceOptions {
  std::string data_dir;
  std::string directory;
  std::size_t keep = 7;  ///< complete ones; 1 … backups_kept_max
  std::string server_version;
  std::function<WallTime()> clock;
  std::function<storage::Status(const std::string& directory)> checkpoint;
  /// Told how each ended, on the service's thread.
  std::function<void(const Info&)> ended = [](const Info&) {};
};

struct ServiceStatistics {
  std::atomic<std::uint64_t> completed{0};
  std::atomic<std::uint64_t> failed{0};
  std::atomic<std::int64_t> last_completed_seconds{0};  ///< since 1970; 0: none since the start
  std::atomic<std::uint64_t> last_bytes{0};
};

class BackupService {
 public:
  /// Removes what a server that died has left unfinished, on its own thread.
  explicit BackupService(ServiceOptions options);
  /// Gives up what is under way and removes it; waits for that.
  ~BackupService();
  BackupService(const BackupService&) = delete;
  BackupService& operator=(const BackupService&) = delete;

  /// Begins one. `running`, `exists`, `full` or an I/O failure when it cannot; `info` is what it
  /// is then. An empty name: made from the time. Looks at the file system. Any thread.
  Outcome start(const std::string& name, Info& info);

  /// All, by name; reads their manifests. On a thread that may block.
  std::vector<Info> list() const;

  /// On a thread that may block.
  std::optional<Info> find(const std::string& name) const;

  /// `not_found`, or `running` when it is being made. On a thread that may block.
  Outcome erase(const std::string& name);

  const std::string& directory() const noexcept { return options_.directory; }
  const ServiceStatistics& statistics() const noexcept { return statistics_; }

 private:
  void run();
  void work(const CreateOptions& wish);
  void remove_unfinished() const;
  void prune();
  CreateOptions options_for(const std::string& name) const;
  std::optional<Info> read(const std::string& name) const;

  const ServiceOptions options_;
  ServiceStatistics statistics_;
  std::atomic<bool> stopping_{false};

  mutable std::mutex mutex_;  ///< guards what follows
  std::condition_variable changed_;
  std::optional<CreateOptions> running_;
  std::optional<Info> failed_;  ///< the last one, until another begins

  std::thread thread_;
};

}  // namespace skerry::backup
