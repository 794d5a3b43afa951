// MessageTap: sees accepted publishes before they are routed and may store something with them.
// What it writes joins the message's own batch; only the session acknowledges.
#pragma once

#include <cstdint>

#include "base/now.hpp"
#include "mqtt/packet.hpp"
#include "plugin/identity.hpp"
#include "storage/batch.hpp"

namespace skerry::plugin {

enum class TapVerdict : std::uint8_t {
  not_mine,  ///< nothing to do with this topic
  stored,    ///< writes are in the batch: the acknowledgement waits for the commit
  rejected,  ///< the content is unusable: PUBACK 0x99 in MQTT 5 (payload_format_invalid)
  busy,      ///< cannot take it now: PUBACK 0x97, not routed; at QoS 0 it is routed and not stored
};

struct TapResult {
  TapVerdict verdict = TapVerdict::not_mine;
  const char* what = "";  ///< static sentence for reason string and log when not stored
};

class MessageTap {
 public:
  virtual ~MessageTap() = default;

  /// `publish.topic` is authorised; views die with the call. Writes
  /// go to `batch` (only when the answer is `stored`). Called on any core, also at the same time on
  /// several: must not block. An exception means busy, and what it wrote is dropped.
  virtual TapResult on_publish(const Identity& publisher, const mqtt::Publish& publish, Now now,
                               storage::Batch& batch) = 0;
};

}  // namespace skerry::plugin
