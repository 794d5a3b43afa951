#include "twin/series/device_reader.hpp"

namespace skerry::twin::series {

DeviceReader::DeviceReader(const storage::KvStore& store, const Retention& retention,
                           std::string_view device, std::span<const std::string> keys)
    : store_(store), retention_(retention), device_(device), snapshot_(store.snapshot()) {
  if (!snapshot_) {
    status_ = closed_status();
    return;
  }
  PendingOptions options;
  options.keys = keys;
  auto pending = read_pending(store, *snapshot_, device, options);
  if (pending.has_error()) {
    status_ = pending.error();
    return;
  }
  pending_ = *std::move(pending);
  if (pending_.damaged > 0) {
    status_ = damaged_status();
  }
}

SeriesView DeviceReader::view(std::string_view key) {
  return SeriesView({store_, *snapshot_, pending_, workspace_}, device_, key,
                    retention_.horizons(device_, key));
}

}  // namespace skerry::twin::series
