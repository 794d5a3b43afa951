// UnitBook: which unit the samples of a series have, as SenML names it. A record per series in the
// family `documents`, written when a message brings a unit that was not seen of late:
//   key    'u' · NUL · device id · NUL · key of the series
//   value  version (1) · unit
// The last one written counts. Flat JSON brings no units and changes none.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/now.hpp"
#include "base/result.hpp"
#include "storage/kv_store.hpp"
#include "twin/sample.hpp"

namespace skerry::twin {

/// Remembers what was written lately, so that a device which names its units in every message costs
/// a write an hour. What it remembers may be lost at any time; a batch that fails is made good
/// within the hour. For one thread at a time; 32 KiB once a unit has come.
class UnitWriter {
 public:
  /// `units` as many as `samples`, or none.
  void write(std::string_view device, std::span<const Sample> samples,
             std::span<const std::string_view> units, WallTime now, storage::Batch& batch);

  /// Forgets all, so that the next message writes its units again.
  void forget() noexcept { written_.clear(); }

 private:
  std::vector<std::uint64_t> written_;  ///< hashes of device, key, unit and hour, by their own bits
};

class UnitBook {
 public:
  /// `store` must outlive this object. All calls block: reader pool.
  explicit UnitBook(const storage::KvStore& store) : store_(store) {}

  /// Empty when there is none.
  Result<std::string, storage::Status> unit_of(std::string_view device, std::string_view key) const;

  /// Adds the removal of the unit of `key`, or of all of the device without one, to `batch`.
  static void erase(std::string_view device, std::string_view key, storage::Batch& batch);

 private:
  const storage::KvStore& store_;
};

}  // namespace skerry::twin
