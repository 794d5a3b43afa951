// DeviceIndex: which devices a filter chooses, in order and page by page, without asking each of
// 100,000. It holds no truth: the registry says what a device is, its change hooks say which have
// changed, and a question first takes in what has changed since the last one.
//
// States, models, tags and attributes have a dictionary each: value → the devices that have it. A
// filter becomes operations on sets; only what no dictionary knows (names, times, free text) is
// judged device by device, and only for those that the rest has left.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "auth/device_fields.hpp"
#include "auth/device_set.hpp"

namespace skerry::auth {

enum class DeviceSort : std::uint8_t {
  id,
  name,
  model,
  state,
  created,
  changed,
  not_after,
  last_seen
};

/// Where a page ended: what it was sorted by, and the id that decides between equals.
struct DevicePlace {
  std::int64_t number = 0;
  std::string text;
  std::string id;
};

struct DeviceQuery {
  filter::Filter filter;
  DeviceSort sort = DeviceSort::id;  ///< what has no such time sorts before all that have
  bool descending = false;           ///< equals are by ascending id in either case
  std::optional<DevicePlace> after;  ///< of the same sort
  std::size_t limit = 50;
  bool count = false;
};

struct FoundDevice {
  DevicePointer device;
  DevicePresence presence;
};

struct DeviceMatches {
  std::vector<FoundDevice> devices;
  std::optional<DevicePlace> last;   ///< where to go on; nothing at the end
  std::optional<std::size_t> count;  ///< of all pages, when asked for
};

/// Thread-safe. changed() and note_presence() take a short lock and may be called by cores and the
/// committer; questions are for threads that may compute for some milliseconds.
class DeviceIndex {
 public:
  /// `find` is the registry's; it is never called under a lock of whoever calls changed().
  using Find = std::function<DevicePointer(std::string_view id)>;

  explicit DeviceIndex(Find find) : find_(std::move(find)) {}
  DeviceIndex(const DeviceIndex&) = delete;
  DeviceIndex& operator=(const DeviceIndex&) = delete;

  /// This device was created, changed or erased. A question that begins after this has returned
  /// sees it.
  void changed(std::string_view id);
  /// It came, went or was heard; nothing happens for unknown devices.
  void note_presence(std::string_view id, bool online, WallTime time);

  /// O(devices / 64) for each part of the filter that a dictionary knows, O(devices left) for the
  /// others; measured by perf/filter.
  DeviceMatches query(const DeviceQuery& query, WallTime now);
  /// The ids alone, ascending, behind `after`, at most `limit`.
  std::vector<std::string> ids(const filter::Filter& filter, std::string_view after,
                               std::size_t limit, WallTime now);
  /// Is this one chosen? False for unknown devices.
  bool matches(const filter::Filter& filter, std::string_view id, WallTime now);
  std::optional<FoundDevice> find(std::string_view id);

 private:
  /// One device; its place in `slots_` is its number.
  struct Slot {
    std::string id;
    DevicePointer device;  ///< null: the number is free
    DevicePresence presence;
    std::string text;  ///< what free text searches, lower case, lines
  };
  using Dictionary = std::map<std::string, Posting, std::less<>>;
  struct Key;

  void refresh();
  void apply_changes(std::size_t at_most);
  void apply(const std::string& id);
  void put(DeviceNumber number, DevicePointer device);
  void drop(DeviceNumber number);
  void post(const Device& device, DeviceNumber number, const Device* unless, bool add);

  DeviceSet evaluate(const filter::Node& node, const DeviceSet& within, WallTime now) const;
  DeviceSet evaluate_all(const filter::Node& node, const DeviceSet& within, WallTime now) const;
  DeviceSet evaluate_term(const filter::Term& term, const DeviceSet& within, WallTime now) const;
  DeviceSet scan(const filter::Term& term, const DeviceSet& within, WallTime now) const;
  DeviceSet scan_text(const filter::Term& term, const DeviceSet& within, WallTime now) const;
  DeviceSet look_up_id(const filter::Term& term, const DeviceSet& within, WallTime now) const;
  const Dictionary* dictionary(std::string_view field) const;
  bool is_indexed(const filter::Node& node) const;

  Key key_of(DeviceNumber number, DeviceSort sort) const;
  std::vector<Key> page_by_walk(const DeviceSet& chosen, const DeviceQuery& query) const;
  std::vector<Key> page_by_sort(const DeviceSet& chosen, const DeviceQuery& query) const;

  const Find find_;

  std::mutex queue_mutex_;
  std::vector<std::string> queue_;  ///< ids that have changed
  std::map<std::string, DevicePresence, std::less<>> presences_;
  std::atomic<bool> queued_ = false;

  mutable std::shared_mutex mutex_;  ///< of all below
  std::deque<Slot> slots_;
  std::vector<DeviceNumber> free_;
  DeviceSet live_;
  std::map<std::string_view, DeviceNumber> by_id_;  ///< views of the slots' ids
  Dictionary states_;
  Dictionary models_;
  Dictionary tags_;
  std::map<std::string, Dictionary, std::less<>> attributes_;
};

}  // namespace skerry::auth
