#include "device/spool.hpp"

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "device/limits.hpp"

namespace skerry::agent {

namespace {

std::size_t segment_bytes_of(std::size_t bytes_max) {
  return std::clamp(bytes_max / segments_per_spool, segment_bytes_min, segment_bytes_max);
}

SpoolQueueOptions alarm_options(const SpoolOptions& options) {
  return {options.directory + "/alarms", options.boot, segment_bytes_of(options.bytes_max),
          Milliseconds{0}, true};
}

SpoolQueueOptions telemetry_options(const SpoolOptions& options) {
  return {options.directory + "/telemetry", options.boot, segment_bytes_of(options.bytes_max),
          options.age_max, false};
}

}  // namespace

Spool::Spool(SpoolOptions options)
    : options_(std::move(options)),
      alarms_(alarm_options(options_)),
      telemetry_(telemetry_options(options_)) {}

bool Spool::make_room(Urgency urgency, std::size_t bytes) {
  while (this->bytes() + bytes > options_.bytes_max) {
    if (telemetry_.give_up_oldest()) {
      continue;
    }
    if (urgency == Urgency::telemetry || !alarms_.give_up_oldest()) {
      return false;
    }
  }
  return true;
}

bool Spool::append(Urgency urgency, std::string_view body, const SpoolTime& now) {
  const std::size_t bytes = body.size() + record_header_bytes + segment_header_bytes;
  if (body.size() <= record_bytes_max && make_room(urgency, bytes)) {
    SpoolQueue& queue = this->queue(urgency);
    if (queue.append(body, now)) {
      return true;
    }
    // A full disk: the oldest telemetry makes room, as it does when the budget is used up.
    if (errno == ENOSPC && telemetry_.give_up_oldest() && queue.append(body, now)) {
      return true;
    }
  }
  ++not_taken_;
  return false;
}

std::optional<Urgency> Spool::next() const noexcept {
  if (alarms_.pending() > 0) {
    return Urgency::alarm;
  }
  return telemetry_.pending() > 0 ? std::optional{Urgency::telemetry} : std::nullopt;
}

void Spool::set_limits(std::size_t bytes_max, Milliseconds age_max) noexcept {
  options_.bytes_max = bytes_max;
  telemetry_.set_age_max(age_max);
}

BootId read_boot_id() {
  BootId id{};
  std::string text = read_file("/proc/sys/kernel/random/boot_id", 256).value_or("");
  std::erase_if(text, [](char c) { return c == '-' || c == '\n'; });
  // Sixteen of its 32 hexadecimal digits tell boots apart well enough.
  std::copy_n(text.begin(), std::min(text.size(), id.size()), id.begin());
  return id;
}

SpoolTime read_spool_time() noexcept {
  timespec since{};
  clock_gettime(CLOCK_BOOTTIME, &since);
  return {read_clocks().wall,
          Milliseconds{std::int64_t{since.tv_sec} * 1000 + since.tv_nsec / 1'000'000}};
}

}  // namespace skerry::agent
