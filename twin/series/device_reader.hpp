// DeviceReader: everything a question about one device reads from: one snapshot, what waits in the
// log, and the decoder's buffers. Blocks; made for one question and one thread.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "twin/series/series_view.hpp"

namespace skerry::twin::series {

class DeviceReader {
 public:
  /// `keys`: sorted; only these will be asked for; empty: any. See ok().
  DeviceReader(const storage::KvStore& store, const Retention& retention, std::string_view device,
               std::span<const std::string> keys);

  const storage::Status& status() const noexcept { return status_; }
  /// Only when status() is ok. The view must not outlive the reader.
  SeriesView view(std::string_view key);

 private:
  const storage::KvStore& store_;
  const Retention& retention_;
  std::string device_;
  std::unique_ptr<storage::Snapshot> snapshot_;
  Pending pending_;
  Workspace workspace_;
  storage::Status status_;
};

}  // namespace skerry::twin::series
