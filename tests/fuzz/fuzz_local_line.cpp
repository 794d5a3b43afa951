// Lines of the agent's local socket: what is taken becomes a record within its cap and a message
// that is JSON, and everything else is refused with a sentence.
#include <boost/json.hpp>
#include <string_view>

#include "device/limits.hpp"
#include "device/local_protocol.hpp"
#include "device/outgoing.hpp"
#include "base/assert.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace skerry::agent;
  const auto message = parse_local_line({reinterpret_cast<const char*>(data), size});
  if (!message.has_value()) {
    SKERRY_ASSERT(!message.error().empty());
    return 0;
  }
  SpoolEntry entry;
  entry.time = message->time;
  std::optional<OutgoingMessage> outgoing;
  if (const auto* alarm = std::get_if<LocalAlarm>(&message->what)) {
    entry.body = alarm_record(*alarm);
    outgoing = alarm_message("d", entry);
    SKERRY_ASSERT(outgoing->topic.find_first_of("+#", 0) == std::string::npos);
  } else {
    const auto& metrics = std::get<LocalMetrics>(message->what);
    SKERRY_ASSERT(!metrics.readings.empty() && metrics.readings.size() <= line_values_max);
    entry.body = telemetry_record(metrics.readings);
    outgoing = telemetry_message("d", {&entry, 1});
  }
  SKERRY_ASSERT(entry.body.size() <= record_bytes_max);
  SKERRY_ASSERT(outgoing && outgoing->records == 1);
  boost::system::error_code error;
  boost::json::parse(outgoing->payload, error);
  SKERRY_ASSERT(!error);
  return 0;
}
