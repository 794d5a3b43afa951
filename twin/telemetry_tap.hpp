// TelemetryTap: the twin's MessageTap. It takes `devices/{id}/telemetry`, parses the payload and
// puts the samples into the message's own batch, so that the acknowledgement covers them too. Who
// may publish where was the Authorizer's business; the tap only refuses what would write under
// another device's name.
#pragma once

#include <memory>

#include "plugin/message_tap.hpp"
#include "twin/series_store.hpp"

namespace skerry::twin {

/// Sums over all cores since the start, for metrics.
struct TelemetryStatistics {
  std::uint64_t messages_stored = 0;
  std::uint64_t messages_rejected = 0;
  std::uint64_t samples_stored = 0;
  std::uint64_t samples_flagged = 0;
};

class TelemetryTap final : public plugin::MessageTap {
 public:
  /// `store` must outlive the tap. `cores`: how many threads call at once without a new parser
  /// being made for a call, 1 … 256.
  TelemetryTap(SeriesStore& store, std::size_t cores);
  ~TelemetryTap() override;

  /// Any core, also several at once; never blocks, never waits for another core.
  /// An empty payload with the retain flag only clears a retained message and is not the tap's.
  plugin::TapResult on_publish(const plugin::Identity& publisher, const mqtt::Publish& publish,
                               Now now, storage::Batch& batch) override;

  /// Any thread.
  TelemetryStatistics statistics() const noexcept;

 private:
  class Pool;
  SeriesStore& store_;
  std::unique_ptr<Pool> pool_;
};

}  // namespace skerry::twin
