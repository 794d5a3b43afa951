// Lists of the API: page by page, in every output format, once or watched.
#pragma once

#include <chrono>

#include "cli/api.hpp"
#include "cli/command_line.hpp"
#include "cli/output.hpp"

namespace skerry::cli {

/// `--watch` and `--interval`; give it to add_watch_flags().
struct WatchOptions {
  bool watch = false;
  double interval_seconds = 2;
};
void add_watch_flags(CLI::App& command, WatchOptions& options);

struct List {
  std::string target;           ///< "/api/v1/devices?limit=500"; `{"items": […], "next": …}`
  std::vector<Column> columns;  ///< for tables and CSV
  std::string id = "id";        ///< the member that names an item: printed by --quiet
  std::size_t limit = 0;        ///< no more than this; 0: all
  std::string within = {};      ///< the member that the id is unique within; empty: everywhere
};

/// Prints the whole list. With `watch`, goes on and prints what is new or has changed, then
/// "(gone)" behind the id of what has gone, until it is interrupted.
void print_list(Session& session, const List& list, const WatchOptions& watch = {});

/// The same for items that are at hand.
void print_items(Session& session, const std::vector<Column>& columns,
                 const boost::json::array& items, const std::string& id = "id");

/// A line that tells how far long work has come, on a terminal and not with --quiet; goes with its
/// owner.
class Progress {
 public:
  /// `what`: "Importing"; `unit`: "devices". `total` 0: not known.
  Progress(Session& session, std::string what, std::string unit, std::uint64_t total = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(std::uint64_t done);

 private:
  using Clock = std::chrono::steady_clock;

  void clear();

  Session& session_;
  const std::string what_;
  const std::string unit_;
  const std::uint64_t total_;
  const bool shown_;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point last_{};
  std::size_t width_ = 0;
};

}  // namespace skerry::cli
