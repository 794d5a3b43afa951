// EventSink: where the parts of the server tell what happens, for whoever listens live (SSE of the
// admin port). Nothing here is stored or promised: a slow listener is told of the gap.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/now.hpp"

namespace skerry::plugin {

enum class EventType : std::uint8_t {
  presence,     ///< a device came or went
  telemetry,    ///< samples were accepted
  device,       ///< registered, changed, suspended, retired, erased
  enrolment,    ///< asked, approved, rejected
  certificate,  ///< issued, revoked, expired
};

/// "presence", "telemetry", … as in the stream.
constexpr const char* name_of(EventType type) noexcept {
  switch (type) {
    case EventType::presence:
      return "presence";
    case EventType::telemetry:
      return "telemetry";
    case EventType::device:
      return "device";
    case EventType::enrolment:
      return "enrolment";
    case EventType::certificate:
      return "certificate";
  }
  return "unknown";
}

struct Event {
  EventType type = EventType::device;
  std::string device;  ///< device id; empty when it is about none
  std::string data;    ///< one JSON object without line breaks
  WallTime time{};
};

class EventSink {
 public:
  virtual ~EventSink() = default;

  /// Does anybody listen to this type? Ask before an Event is built. Any thread, one atomic load.
  virtual bool wanted(EventType type) const noexcept = 0;

  /// The same for an event about `device`: false when everybody listens to other devices alone.
  virtual bool wanted_of(EventType type, std::string_view device) const noexcept {
    static_cast<void>(device);
    return wanted(type);
  }

  /// Hands an event to those who listen now. Bounded; the oldest give way and listeners are told.
  /// Any thread, also a core; never blocks for longer than a copy.
  virtual void publish(Event event) noexcept = 0;
};

/// Nobody listens.
class NoEvents final : public EventSink {
 public:
  bool wanted(EventType) const noexcept override { return false; }
  void publish(Event) noexcept override {}
};

}  // namespace skerry::plugin
