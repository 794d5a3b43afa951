// BucketFill: writes the buckets of one series and makes up those without a sample. Gaps may be
// long, so they are written in pieces: offer() a bucket, then pump() until it is through.
#pragma once

#include <optional>

#include "twin/row_text.hpp"

namespace skerry::twin {

class BucketFill {
 public:
  /// `query` and `text` must outlive this object. A fill other than none needs both ends of the
  /// range and the step.
  BucketFill(const TelemetryQuery& query, RowText& text);

  /// A series begins; the one before has been finished.
  void start();
  /// The next bucket in the order of the query.
  void offer(std::int64_t start, const BucketValues& values);
  /// No bucket of this series comes any more.
  void finish();
  /// True: nothing is left to write. False: `out` has reached `bytes_max`.
  bool pump(std::string& out, std::size_t bytes_max);

 private:
  struct Bucket {
    std::int64_t start = 0;
    BucketValues values;
  };
  BucketValues made_up(std::int64_t start) const noexcept;

  const TelemetryQuery& query_;
  RowText& text_;
  const std::int64_t stride_;      ///< to the next bucket, negative when descending; 0: no fill
  std::int64_t begin_ = 0;         ///< first bucket of the range in the order of the query
  std::int64_t end_ = 0;           ///< behind the last one
  std::int64_t next_ = 0;          ///< to be written next
  std::int64_t gap_end_ = 0;       ///< made up until here
  std::optional<Bucket> before_;   ///< last one written that has values
  std::optional<Bucket> pending_;  ///< offered, to be written behind the gap
};

}  // namespace skerry::twin
