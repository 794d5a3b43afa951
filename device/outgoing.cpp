#include "device/outgoing.hpp"

#include "device/limits.hpp"
#include "base/byte_order.hpp"

namespace skerry::agent {

namespace {

std::string time_member(const SpoolEntry& entry) {
  return entry.time ? "\"ts\":" + std::to_string(epoch_milliseconds(*entry.time)) + ',' : "";
}

}  // namespace

// count:2 json-object
std::string telemetry_record(const Readings& readings) {
  std::string record;
  append_big_endian(record, static_cast<std::uint16_t>(readings.size()));
  return record + json_object(readings);
}

// name LF members of a JSON object
std::string alarm_record(const LocalAlarm& alarm) {
  std::string record = alarm.name + "\n\"severity\":" + json_string(alarm.severity) +
                       ",\"text\":" + json_string(alarm.text);
  return alarm.data.empty() ? record : record + ",\"data\":" + alarm.data;
}

std::optional<OutgoingMessage> telemetry_message(const std::string& device,
                                                 std::span<const SpoolEntry> entries) {
  OutgoingMessage message{"devices/" + device + "/telemetry", "[", 0};
  std::size_t values = 0;
  for (const SpoolEntry& entry : entries) {
    if (entry.body.size() < 4) {
      break;
    }
    values += read_big_endian<std::uint16_t>(entry.body);
    if (message.records > 0 && values > batch_values_max) {
      break;
    }
    message.payload += message.records > 0 ? "," : "";
    message.payload += '{' + time_member(entry) + "\"values\":" + entry.body.substr(2) + '}';
    ++message.records;
  }
  message.payload += ']';
  return message.records > 0 ? std::optional{std::move(message)} : std::nullopt;
}

std::optional<OutgoingMessage> alarm_message(const std::string& device, const SpoolEntry& entry) {
  const std::size_t end = entry.body.find('\n');
  if (end == std::string::npos || !is_alarm_name(std::string_view{entry.body}.substr(0, end))) {
    return std::nullopt;
  }
  return OutgoingMessage{"devices/" + device + "/events/" + entry.body.substr(0, end),
                         '{' + time_member(entry) + entry.body.substr(end + 1) + '}', 1};
}

}  // namespace skerry::agent
