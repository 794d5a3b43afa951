// TelemetryTap: the twin's MessageTap. It takes `devices/{id}/telemetry`, parses the payload (flat
// JSON, SenML in JSON and CBOR: by Content-Type, then by topic) and
// puts the samples into the message's own batch, so that the acknowledgement covers them too. Who
// may publish where was the Authorizer's business; the tap only refuses what would write under
// another device's name.
#pragma once

#include <atomic>
#include <memory>

#include "plugin/event_sink.hpp"
#include "plugin/message_tap.hpp"
#include "twin/senml.hpp"
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
  /// `events` hears of stored samples while somebody listens; may be null.
  TelemetryTap(SeriesStore& store, std::size_t cores, plugin::EventSink* events = nullptr);
  ~TelemetryTap() override;

  /// Any core, also several at once; never blocks, never waits for another core.
  /// An empty payload with the retain flag only clears a retained message and is not the tap's.
  plugin::TapResult on_publish(const plugin::Identity& publisher, const mqtt::Publish& publish,
                               Now now, storage::Batch& batch) override;

  /// After units were erased from the UnitBook: the next messages write theirs again. Any thread.
  void forget_units() noexcept { units_epoch_.fetch_add(1, std::memory_order_release); }

  /// Any thread.
  TelemetryStatistics statistics() const noexcept;

 private:
  struct Slot;
  class Pool;

  void write_units(Slot& slot, std::string_view device, const SenmlPack& pack, WallTime now,
                   storage::Batch& batch);
  void tell(std::string_view device, std::span<const Sample> samples, WallTime now);

  SeriesStore& store_;
  plugin::EventSink* events_;
  std::atomic<std::uint64_t> units_epoch_{0};
  std::unique_ptr<Pool> pool_;
};

}  // namespace skerry::twin
