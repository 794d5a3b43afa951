#include "device/spool_queue.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "device/limits.hpp"
#include "base/assert.hpp"

namespace skerry::agent {

namespace {

constexpr std::string_view segment_suffix = ".seg";
/// What a segment file of somebody else's making may have and still be looked at.
constexpr std::size_t segment_read_max = segment_bytes_max + record_bytes_max + 4096;

std::string segment_name(std::uint64_t first) {
  std::array<char, 32> name{};
  std::snprintf(name.data(), name.size(), "%020llu.seg", static_cast<unsigned long long>(first));
  return name.data();
}

std::vector<std::string> segment_paths(const std::string& directory) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.is_regular_file() && entry.path().extension() == segment_suffix) {
      paths.push_back(entry.path().string());
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace

SpoolQueue::SpoolQueue(SpoolQueueOptions options) : options_(std::move(options)) {
  make_directory(options_.directory);
  const std::string path = options_.directory + "/position";
  const std::string stored = read_file(path, 2 * position_slot_bytes).value_or("");
  position_file_ = Descriptor{open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (!position_file_) {
    throw_errno("cannot open " + path);
  }
  load();
  if (const auto position = decode_position(stored)) {
    generation_ = position->generation;
    done_ = position->done;
    lost_ = position->lost;
  } else {
    done_ = segments_.empty() ? 1 : segments_.front().first;
  }
  place_position();
}

void SpoolQueue::load() {
  const std::vector<std::string> paths = segment_paths(options_.directory);
  for (const std::string& path : paths) {
    load_segment(path, path == paths.back());
  }
}

void SpoolQueue::load_segment(const std::string& path, bool is_last) {
  const std::string content = read_file(path, segment_read_max).value_or("");
  const auto header = decode_segment_header(content);
  const bool out_of_order = header && !segments_.empty() && header->first < segments_.back().end();
  if (!header || out_of_order) {
    // Made and not yet written when the power went, or not ours: nothing in it can be placed.
    std::remove(path.c_str());
    torn_tails_ += is_last ? 1 : 0;
    return;
  }
  Segment segment;
  segment.first = header->first;
  segment.path = path;
  segment.this_boot = header->boot == options_.boot;
  segment.bytes = segment_header_bytes;
  while (const auto record = decode_record(std::string_view{content}.substr(segment.bytes))) {
    segment.bytes += record->bytes;
    segment.newest = record->time;
    ++segment.count;
  }
  if (segment.bytes < content.size()) {
    segment.broken = true;
    if (is_last && truncate(path.c_str(), static_cast<off_t>(segment.bytes)) == 0) {
      segment.broken = false;
      ++torn_tails_;
    }
  }
  bytes_ += segment.bytes;
  segments_.push_back(std::move(segment));
}

/// Brings position and segments together: either may be older than the other after a crash.
void SpoolQueue::place_position() {
  next_ = std::max(done_, segments_.empty() ? done_ : segments_.back().end());
  if (!segments_.empty() && segments_.back().end() < done_) {
    // The tail that was done with is gone; numbers must not be used again.
    segments_.back().broken = true;
  }
  if (!segments_.empty() && segments_.front().first > done_) {
    advance_to(segments_.front().first, lost_.damage);
  }
  drop_finished_segments();
}

bool SpoolQueue::open_segment(std::size_t record_bytes) {
  if (!segments_.empty()) {
    const Segment& last = segments_.back();
    const bool takes = !last.broken && last.this_boot && last.end() == next_ &&
                       last.bytes + record_bytes <= options_.segment_bytes;
    if (takes && active_) {
      return true;
    }
    if (takes) {
      active_ = Descriptor{open(last.path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW)};
      return static_cast<bool>(active_);
    }
    if (active_) {
      fdatasync(active_.get());
    }
  }
  Segment segment;
  segment.first = next_;
  segment.path = options_.directory + "/" + segment_name(next_);
  segment.this_boot = true;
  segment.bytes = segment_header_bytes;
  Descriptor file{
      open(segment.path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (!file || !write_at(file.get(), encode_segment_header({options_.boot, segment.first}), 0)) {
    const int reason = errno;
    std::remove(segment.path.c_str());
    errno = reason;
    return false;
  }
  sync_directory(options_.directory);
  active_ = std::move(file);
  bytes_ += segment.bytes;
  segments_.push_back(std::move(segment));
  return true;
}

bool SpoolQueue::append(std::string_view body, const SpoolTime& now) {
  SKERRY_ASSERT(body.size() <= record_bytes_max);
  const std::string record = encode_record(now, body);
  if (!open_segment(record.size())) {
    return false;
  }
  Segment& segment = segments_.back();
  if (!write_at(active_.get(), record, segment.bytes) ||
      (options_.sync_each && fdatasync(active_.get()) != 0)) {
    const int reason = errno;
    segment.broken = ftruncate(active_.get(), static_cast<off_t>(segment.bytes)) != 0;
    errno = reason;
    return false;
  }
  segment.bytes += record.size();
  bytes_ += record.size();
  segment.newest = now;
  ++segment.count;
  ++next_;
  return true;
}

bool SpoolQueue::too_old(const SpoolTime& time, bool this_boot,
                         const SpoolTime& now) const noexcept {
  if (options_.age_max.count() == 0) {
    return false;
  }
  if (this_boot) {
    return now.since_boot - time.since_boot > options_.age_max;
  }
  const bool both_known = epoch_milliseconds(time.wall) >= plausible_wall_milliseconds &&
                          epoch_milliseconds(now.wall) >= plausible_wall_milliseconds;
  return both_known && now.wall - time.wall > options_.age_max;
}

std::optional<WallTime> SpoolQueue::time_of(const SpoolTime& time, bool this_boot,
                                            const SpoolTime& now) const noexcept {
  if (epoch_milliseconds(time.wall) >= plausible_wall_milliseconds) {
    return time.wall;
  }
  // Written before the clock was set. Since then it has been, and the boot is the same.
  if (this_boot && epoch_milliseconds(now.wall) >= plausible_wall_milliseconds) {
    return now.wall - (now.since_boot - time.since_boot);
  }
  return std::nullopt;
}

/// The first segment from the first record that is not done with, about `bytes` of it.
std::string SpoolQueue::read_front(std::size_t bytes) {
  const Segment& front = segments_.front();
  const Descriptor file{open(front.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
  if (front_sequence_ < front.first) {
    front_sequence_ = front.first;
    front_offset_ = segment_header_bytes;
  }
  std::string content;
  while (file && front_offset_ < front.bytes) {
    content.resize(std::min(bytes, front.bytes - front_offset_));
    const ssize_t count =
        pread(file.get(), content.data(), content.size(), static_cast<off_t>(front_offset_));
    content.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    std::size_t used = 0;
    while (front_sequence_ < done_) {
      const auto record = decode_record(std::string_view{content}.substr(used));
      if (!record) {
        break;
      }
      used += record->bytes;
      ++front_sequence_;
    }
    front_offset_ += used;
    if (used == 0) {
      return front_sequence_ == done_ ? content : std::string{};
    }
  }
  return {};
}

std::vector<SpoolEntry> SpoolQueue::peek(const BatchLimits& limits, const SpoolTime& now) {
  shown_ = 0;
  given_up_while_shown_ = 0;
  std::vector<SpoolEntry> entries;
  std::size_t taken = 0;
  while (entries.empty() && done_ < next_ && !segments_.empty()) {
    const Segment& front = segments_.front();
    if (too_old(front.newest, front.this_boot, now)) {
      advance_to(front.end(), lost_.age);
      drop_finished_segments();
      continue;
    }
    const std::string content = read_front(limits.bytes + 2 * record_bytes_max);
    std::string_view rest = content;
    std::uint64_t sequence = done_;
    while (sequence < front.end() && entries.size() < limits.records) {
      const auto record = decode_record(rest);
      if (!record) {
        break;
      }
      if (entries.empty() && too_old(record->time, front.this_boot, now)) {
        advance_to(sequence + 1, lost_.age);
      } else {
        if (!entries.empty() && taken + record->body.size() > limits.bytes) {
          break;
        }
        taken += record->body.size();
        entries.push_back(
            {sequence, time_of(record->time, front.this_boot, now), std::string{record->body}});
      }
      rest.remove_prefix(record->bytes);
      ++sequence;
    }
    if (entries.empty()) {
      // Nothing of it can be read: what is left of this segment is lost, the next one goes on.
      segments_.front().broken = segments_.front().broken || done_ < front.end();
      advance_to(front.end(), lost_.damage);
      drop_finished_segments();
    }
  }
  shown_ = entries.empty() ? 0 : entries.back().sequence + 1;
  return entries;
}

/// Numbers between done_ and `done` are counted, done_ moves.
void SpoolQueue::advance_to(std::uint64_t done, std::uint64_t& counter) {
  if (done > done_) {
    counter += done - done_;
    done_ = done;
    next_ = std::max(next_, done_);
    write_position();
  }
}

void SpoolQueue::finish(std::uint64_t sequence, bool refused) {
  SKERRY_ASSERT(sequence < shown_);
  // Those that were given up while they were on their way have arrived after all.
  lost_.size -= given_up_while_shown_;
  given_up_while_shown_ = 0;
  if (sequence + 1 > done_) {
    lost_.refused += refused ? sequence + 1 - done_ : 0;
    done_ = sequence + 1;
  }
  write_position();
  drop_finished_segments();
}

void SpoolQueue::drop_front() {
  Segment& front = segments_.front();
  std::remove(front.path.c_str());
  bytes_ -= front.bytes;
  if (segments_.size() == 1) {
    active_ = {};
  }
  segments_.pop_front();
  front_sequence_ = 0;
}

void SpoolQueue::drop_finished_segments() {
  while (!segments_.empty() && segments_.front().end() <= done_) {
    // The last one goes on being written to while it has room.
    if (segments_.size() == 1 && active_ && !segments_.front().broken &&
        segments_.front().bytes * 2 < options_.segment_bytes) {
      return;
    }
    drop_front();
  }
  // A segment that breaks off leaves a gap before the next one.
  if (!segments_.empty() && segments_.front().first > done_) {
    advance_to(segments_.front().first, lost_.damage);
  }
}

bool SpoolQueue::give_up_oldest() {
  if (segments_.empty()) {
    return false;
  }
  const std::uint64_t end = segments_.front().end();
  if (end > done_) {
    const std::uint64_t shown_end = std::min(end, shown_);
    given_up_while_shown_ += shown_end > done_ ? shown_end - done_ : 0;
    advance_to(end, lost_.size);
  }
  drop_front();
  drop_finished_segments();
  return true;
}

void SpoolQueue::write_position() noexcept {
  ++generation_;
  const std::size_t slot = generation_ % 2 * position_slot_bytes;
  // When the disk does not take it, records are sent once more after a restart: nothing is lost.
  if (write_at(position_file_.get(), encode_position({generation_, done_, lost_}), slot) &&
      options_.sync_each) {
    fdatasync(position_file_.get());
  }
}

void SpoolQueue::sync() noexcept {
  if (active_) {
    fdatasync(active_.get());
  }
  fdatasync(position_file_.get());
}

}  // namespace skerry::agent
