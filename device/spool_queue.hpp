// One queue on disk: records in segment files, in order, and a position up to which they are done
// with. The oldest segment is given up as a whole when its owner needs room.
//
//   append ──▶ [segment … segment … segment] ──▶ peek ──▶ (sent) ──▶ finish
//                 ▲ give_up_oldest
//
// A crash at any moment leaves whole records: the torn tail of the last segment is cut at the next
// start, and what a damaged segment has lost is counted. Does not decide how large the spool may be
// (spool.hpp does), looks at no clock, knows nothing of what the records say. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "device/file.hpp"
#include "device/spool_format.hpp"

namespace skerry::agent {

struct SpoolQueueOptions {
  std::string directory;  ///< made if missing
  BootId boot{};          ///< of this boot of the machine
  std::size_t segment_bytes = 1024 * 1024;
  Milliseconds age_max{0};  ///< 0: any age
  bool sync_each = false;   ///< append and finish return when their work is on the disk
};

/// A record on its way out.
struct SpoolEntry {
  std::uint64_t sequence = 0;
  /// When it happened; nullopt when no clock could tell (never set, and the machine has been
  /// restarted since).
  std::optional<WallTime> time;
  std::string body;
};

struct BatchLimits {
  std::size_t records = 1;
  std::size_t bytes = 0;  ///< of bodies; the first record comes whatever its size
};

class SpoolQueue {
 public:
  /// Reads what is there. Throws std::system_error when the directory cannot be used.
  explicit SpoolQueue(SpoolQueueOptions options);

  /// False: the disk did not take it, errno says why, and nothing of it is left.
  bool append(std::string_view body, const SpoolTime& now);

  /// The oldest records, those that are too old given up. Nothing changes by asking again.
  std::vector<SpoolEntry> peek(const BatchLimits& limits, const SpoolTime& now);

  /// Everything up to and with `sequence`, which peek() has shown, has been sent; the next time it
  /// is not shown. With `refused` those were refused for good and are counted as such.
  void finish(std::uint64_t sequence, bool refused = false);

  /// Deletes the oldest segment. False: there is none.
  bool give_up_oldest();

  /// Makes appends and the position durable.
  void sync() noexcept;

  void set_age_max(Milliseconds age_max) noexcept { options_.age_max = age_max; }

  std::uint64_t pending() const noexcept { return next_ - done_; }
  std::size_t bytes() const noexcept { return bytes_; }
  const SpoolLosses& losses() const noexcept { return lost_; }
  /// Starts that found a last segment cut off, and cut away what was not whole.
  std::uint64_t torn_tails() const noexcept { return torn_tails_; }

 private:
  struct Segment {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    std::size_t bytes = 0;
    bool this_boot = false;
    bool broken = false;  ///< takes no more: its tail is not whole
    SpoolTime newest;
    std::string path;

    std::uint64_t end() const noexcept { return first + count; }
  };

  void load();
  void load_segment(const std::string& path, bool is_last);
  void place_position();
  bool open_segment(std::size_t record_bytes);
  bool too_old(const SpoolTime& time, bool this_boot, const SpoolTime& now) const noexcept;
  std::optional<WallTime> time_of(const SpoolTime& time, bool this_boot,
                                  const SpoolTime& now) const noexcept;
  std::string read_front(std::size_t bytes);
  void advance_to(std::uint64_t done, std::uint64_t& counter);
  void drop_finished_segments();
  void drop_front();
  void write_position() noexcept;

  SpoolQueueOptions options_;
  std::deque<Segment> segments_;
  Descriptor active_;  ///< the last segment, for appending; none until the first append
  Descriptor position_file_;
  std::uint64_t next_ = 1;
  std::uint64_t done_ = 1;
  std::uint64_t generation_ = 0;
  std::size_t front_offset_ = segment_header_bytes;  ///< of `front_sequence_` in the first segment
  std::uint64_t front_sequence_ = 0;
  std::size_t bytes_ = 0;
  std::uint64_t shown_ = 0;  ///< end of what peek() has shown last
  std::uint64_t given_up_while_shown_ = 0;
  SpoolLosses lost_;
  std::uint64_t torn_tails_ = 0;
};

}  // namespace skerry::agent
