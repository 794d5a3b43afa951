// PlainConverter: takes telemetry of the older form, a record per sample (sample_record.hpp, family
// `series`), over into rows of the log, a piece at a time. A piece's rows come and its records go
// in one batch, so it may be interrupted anywhere and goes on where it was.
#pragma once

#include <functional>

#include "base/result.hpp"
#include "storage/kv_store.hpp"

namespace skerry::twin::series {

class PlainConverter {
 public:
  /// `store` must outlive the converter.
  explicit PlainConverter(const storage::KvStore& store) : store_(store) {}

  /// Adds the next piece to `batch` and gives the number of records in it; 0: there are none left.
  /// Records that cannot be read are dropped and counted. The batch is to be written before the
  /// next call.
  Result<std::size_t, storage::Status> next(storage::Batch& batch,
                                            const std::function<std::uint64_t()>& sequence);

  std::uint64_t samples() const noexcept { return samples_; }
  std::uint64_t damaged() const noexcept { return damaged_; }

 private:
  const storage::KvStore& store_;
  std::uint64_t samples_ = 0;
  std::uint64_t damaged_ = 0;
};

}  // namespace skerry::twin::series
