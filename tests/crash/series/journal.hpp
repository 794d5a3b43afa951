// The journal of the series crash test: what a process set out to do, what was acknowledged to it.
// One file, a line an event, written before the batch goes and after its commit; kill -9 loses
// nothing of it.
//   T device number a time count   set out to append `count` samples from `time` on
//   T device number e key from to  set out to erase; key "-": all
//   A device number                was acknowledged
//   R device number 0|1            was found undone or done after a crash
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "twin/series_store.hpp"

namespace skerry::crash {

struct Operation {
  std::uint64_t number = 0;
  std::optional<twin::SeriesErase> erase;
  std::int64_t time = 0;  ///< of the first sample; one in 100 ms follows
  int count = 0;
  enum class Fate { unknown, done, undone } fate = Fate::unknown;
};

/// Keys and values of an append follow from the device and its number.
struct PlannedSample {
  std::string key;
  twin::StoredSample sample;
};
std::vector<PlannedSample> samples_of(const Operation& operation);

class Journal {
 public:
  explicit Journal(const std::string& path);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// Operations of each device, in their order.
  static std::map<std::string, std::vector<Operation>> read(const std::string& path);

  void set_out(const std::string& device, const Operation& operation);
  void acknowledged(const std::string& device, std::uint64_t number);
  void resolved(const std::string& device, std::uint64_t number, bool done);

 private:
  void line(const std::string& text);
  int file_;
};

}  // namespace skerry::crash
