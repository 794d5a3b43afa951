#include "twin/telemetry_tap.hpp"

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "base/assert.hpp"
#include "base/counters.hpp"
#include "base/limits.hpp"
#include "twin/device_topic.hpp"
#include "twin/senml.hpp"
#include "twin/telemetry_parser.hpp"
#include "twin/unit_book.hpp"
#include "twin/value_text.hpp"

namespace skerry::twin {
namespace {

using plugin::TapResult;
using plugin::TapVerdict;

char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Media types compare without case and without parameters (RFC 9110 section 8.3.1).
bool is_media_type(std::string_view content_type, std::string_view wanted) noexcept {
  content_type = content_type.substr(0, content_type.find(';'));
  while (!content_type.empty() && content_type.back() == ' ') {
    content_type.remove_suffix(1);
  }
  return std::equal(content_type.begin(), content_type.end(), wanted.begin(), wanted.end(),
                    [](char a, char b) { return lower(a) == b; });
}

/// A known Content-Type wins over the topic; an unknown one says nothing.
TelemetryFormat format_of(const mqtt::Publish& publish, TelemetryFormat by_topic) noexcept {
  if (!publish.properties.content_type) {
    return by_topic;
  }
  const std::string_view type = *publish.properties.content_type;
  if (is_media_type(type, "application/json")) {
    return TelemetryFormat::json;
  }
  if (is_media_type(type, "application/senml+json")) {
    return TelemetryFormat::senml_json;
  }
  if (is_media_type(type, "application/senml+cbor") || is_media_type(type, "application/cbor")) {
    return TelemetryFormat::senml_cbor;
  }
  return by_topic;
}

bool may_write_for(const plugin::Identity& publisher, std::string_view device) noexcept {
  return publisher.policy != plugin::PolicyKind::device ||
         (publisher.kind == plugin::IdentityKind::device && publisher.name == device);
}

/// Why this message cannot be telemetry of its device whatever its payload; nullptr: it may be.
const char* refusal_before_parsing(const plugin::Identity& publisher,
                                   const TelemetryTopic& topic) noexcept {
  if (!is_device_id(topic.device)) {
    return "the topic does not name a valid device id";
  }
  if (!may_write_for(publisher, topic.device)) {
    return "only the device itself may publish its telemetry";
  }
  return nullptr;
}

/// A full store is a refusal, not "busy": to try again would not help, and a client of MQTT 3.1.1
/// would do nothing else.
const char* refusal_of(AppendResult appended) noexcept {
  return appended == AppendResult::device_full ? "the device has as many series as it may have"
                                               : "the store has as many series as it may have";
}

}  // namespace

/// Parsers with their counters, for one caller at a time.
struct alignas(64) TelemetryTap::Slot {
  std::atomic<bool> taken{false};
  TelemetryParser parser;
  SenmlParser senml;
  UnitWriter units;
  std::uint64_t units_epoch = 0;
  Counter messages_stored;
  Counter messages_rejected;
  Counter samples_stored;
  Counter samples_flagged;

  Result<SenmlPack, TelemetryError> parse(TelemetryFormat format, std::string_view device,
                                          Bytes payload, WallTime arrival) {
    switch (format) {
      case TelemetryFormat::json:
        break;
      case TelemetryFormat::senml_json:
        return senml.parse_json(device, payload, arrival);
      case TelemetryFormat::senml_cbor:
        return senml.parse_cbor(device, payload, arrival);
    }
    const auto samples = parser.parse(payload, arrival);
    if (samples.has_error()) {
      return samples.error();
    }
    return SenmlPack{*samples, {}};
  }

  void count_stored(std::span<const Sample> samples) noexcept {
    const auto flagged =
        std::count_if(samples.begin(), samples.end(), [](const Sample& s) { return s.flags != 0; });
    messages_stored.add();
    samples_stored.add(samples.size());
    samples_flagged.add(static_cast<std::uint64_t>(flagged));
  }
};

/// All slots. A caller takes the slot its thread prefers or the next free one;
/// when all are taken it works with a parser of its own, so nobody ever waits.
class TelemetryTap::Pool {
 public:
  /// Gives a slot back, or drops the spare one after adding its counts to the shared rest.
  class Lease {
   public:
    explicit Lease(Pool& pool) : pool_(pool), slot_(pool.take()) {
      if (slot_ == nullptr) {
        spare_ = std::make_unique<Slot>();
        slot_ = spare_.get();
      }
    }
    ~Lease() {
      if (spare_) {
        pool_.add_spare(*spare_);
      } else {
        slot_->taken.store(false, std::memory_order_release);
      }
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Slot* get() const noexcept { return slot_; }
    Slot* operator->() const noexcept { return slot_; }

   private:
    Pool& pool_;
    Slot* slot_;
    std::unique_ptr<Slot> spare_;
  };

  explicit Pool(std::size_t size) : slots_(size) {}

  TelemetryStatistics statistics() const noexcept {
    TelemetryStatistics sum;
    sum.messages_stored = spare_stored_.load(std::memory_order_relaxed);
    sum.messages_rejected = spare_rejected_.load(std::memory_order_relaxed);
    sum.samples_stored = spare_samples_.load(std::memory_order_relaxed);
    sum.samples_flagged = spare_flagged_.load(std::memory_order_relaxed);
    for (const Slot& slot : slots_) {
      sum.messages_stored += slot.messages_stored.read();
      sum.messages_rejected += slot.messages_rejected.read();
      sum.samples_stored += slot.samples_stored.read();
      sum.samples_flagged += slot.samples_flagged.read();
    }
    return sum;
  }

 private:
  Slot* take() noexcept {
    const std::size_t first = std::hash<std::thread::id>{}(std::this_thread::get_id());
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      Slot& slot = slots_[(first + i) % slots_.size()];
      if (!slot.taken.load(std::memory_order_relaxed) &&
          !slot.taken.exchange(true, std::memory_order_acquire)) {
        return &slot;
      }
    }
    return nullptr;
  }

  void add_spare(const Slot& slot) noexcept {
    spare_stored_.fetch_add(slot.messages_stored.read(), std::memory_order_relaxed);
    spare_rejected_.fetch_add(slot.messages_rejected.read(), std::memory_order_relaxed);
    spare_samples_.fetch_add(slot.samples_stored.read(), std::memory_order_relaxed);
    spare_flagged_.fetch_add(slot.samples_flagged.read(), std::memory_order_relaxed);
  }

  std::vector<Slot> slots_;
  std::atomic<std::uint64_t> spare_stored_{0};
  std::atomic<std::uint64_t> spare_rejected_{0};
  std::atomic<std::uint64_t> spare_samples_{0};
  std::atomic<std::uint64_t> spare_flagged_{0};
};

TelemetryTap::TelemetryTap(SeriesStore& store, std::size_t cores, plugin::EventSink* events)
    : store_(store), events_(events) {
  SKERRY_ASSERT(cores >= 1 && cores <= 256);
  pool_ = std::make_unique<Pool>(cores);
}

TelemetryTap::~TelemetryTap() = default;

TapResult TelemetryTap::on_publish(const plugin::Identity& publisher, const mqtt::Publish& publish,
                                   Now now, storage::Batch& batch) {
  const auto topic = split_telemetry_topic(publish.topic);
  if (!topic) {
    return {TapVerdict::not_mine, ""};
  }
  if (publish.retain && publish.payload.empty()) {
    return {TapVerdict::not_mine, ""};  // Only removes the retained message [MQTT-3.3.1-6].
  }
  const Pool::Lease slot(*pool_);
  const char* refusal = refusal_before_parsing(publisher, *topic);
  if (refusal == nullptr) {
    const auto pack =
        slot->parse(format_of(publish, topic->format), topic->device, publish.payload, now.wall);
    if (pack.has_value()) {
      const AppendResult appended = store_.append(topic->device, pack->samples, batch);
      if (appended == AppendResult::stored) {
        if (!pack->units.empty()) {
          write_units(*slot.get(), topic->device, *pack, now.wall, batch);
        }
        slot->count_stored(pack->samples);
        tell(topic->device, pack->samples, now.wall);
        return {TapVerdict::stored, ""};
      }
      if (appended == AppendResult::overloaded) {
        return {TapVerdict::busy, "the series store is behind"};
      }
      if (appended == AppendResult::no_space) {
        return {TapVerdict::busy, "the server's disk is nearly full: telemetry is not stored"};
      }
      refusal = refusal_of(appended);
    } else {
      refusal = pack.error().what;
    }
  }
  slot->messages_rejected.add();
  return {TapVerdict::rejected, refusal};
}

void TelemetryTap::write_units(Slot& slot, std::string_view device, const SenmlPack& pack,
                               WallTime now, storage::Batch& batch) {
  const std::uint64_t epoch = units_epoch_.load(std::memory_order_acquire);
  if (slot.units_epoch != epoch) {
    slot.units_epoch = epoch;
    slot.units.forget();
  }
  slot.units.write(device, pack.samples, pack.units, now, batch);
}

void TelemetryTap::tell(std::string_view device, std::span<const Sample> samples, WallTime now) {
  if (events_ == nullptr || samples.empty() ||
      !events_->wanted_of(plugin::EventType::telemetry, device)) {
    return;
  }
  std::string data = "{\"samples\":[";
  std::size_t told = 0;
  for (const Sample& sample : samples) {
    if (data.size() > event_bytes_max) {
      break;
    }
    data.append(told++ == 0 ? "{\"key\":" : ",{\"key\":");
    append_json_string(data, sample.key);
    data.push_back(',');
    append_json_members(data, sample.timestamp, sample.value, sample.flags);
    data.push_back('}');
  }
  data.push_back(']');
  if (told < samples.size()) {
    data.append(",\"omitted\":");
    append_number(data, static_cast<std::int64_t>(samples.size() - told));
  }
  data.push_back('}');
  events_->publish({plugin::EventType::telemetry, std::string(device), std::move(data), now});
}

TelemetryStatistics TelemetryTap::statistics() const noexcept {
  return pool_->statistics();
}

}  // namespace skerry::twin
