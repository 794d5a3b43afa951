// What lies in the spool and what is made of it when it leaves. Telemetry waits as values without
// their time, which the spool knows; rows join in one message. Alarms leave one by one.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "device/local_protocol.hpp"
#include "device/sample.hpp"
#include "device/spool_queue.hpp"

namespace skerry::agent {

struct OutgoingMessage {
  std::string topic;
  std::string payload;
  std::size_t records = 0;  ///< of the entries that it was made of, from the front
};

/// The record of a row of readings.
std::string telemetry_record(const Readings& readings);
/// The record of an alarm.
std::string alarm_record(const LocalAlarm& alarm);

/// As many of `entries` (at least one) as the gateway takes in one message. nullopt: the first is
/// nothing that this agent has written.
std::optional<OutgoingMessage> telemetry_message(const std::string& device,
                                                 std::span<const SpoolEntry> entries);
std::optional<OutgoingMessage> alarm_message(const std::string& device, const SpoolEntry& entry);

}  // namespace skerry::agent
