#include "twin/bucket_fill.hpp"

#include "base/assert.hpp"

namespace skerry::twin {
namespace {

std::int64_t floor_to(std::int64_t instant, std::int64_t step) noexcept {
  const std::int64_t rest = instant % step;
  return instant - (rest < 0 ? rest + step : rest);
}

}  // namespace

BucketFill::BucketFill(const TelemetryQuery& query, RowText& text)
    : query_(query),
      text_(text),
      stride_(query.fill == Fill::none ? 0
              : query.descending       ? -*query.step
                                       : *query.step) {
  if (stride_ == 0) {
    return;
  }
  SKERRY_ASSERT(query.to && *query.to >= query.from);
  const std::int64_t first = floor_to(query.from, *query.step);
  const std::int64_t behind =
      *query.to == query.from ? first : floor_to(*query.to - 1, *query.step) + *query.step;
  begin_ = query.descending ? behind - *query.step : first;
  end_ = query.descending ? first - *query.step : behind;
}

void BucketFill::start() {
  next_ = begin_;
  gap_end_ = begin_;
  before_.reset();
  pending_.reset();
}

void BucketFill::offer(std::int64_t start, const BucketValues& values) {
  pending_ = Bucket{start, values};
  gap_end_ = start;
}

void BucketFill::finish() {
  gap_end_ = end_;
}

BucketValues BucketFill::made_up(std::int64_t start) const noexcept {
  const std::optional<Bucket> after =
      pending_ && pending_->values.known ? pending_ : std::optional<Bucket>{};
  const std::optional<Bucket>& earlier = query_.descending ? after : before_;
  const std::optional<Bucket>& later = query_.descending ? before_ : after;
  if (query_.fill == Fill::previous && earlier) {
    BucketValues values = earlier->values;
    values.count = 0;
    return values;
  }
  if (query_.fill != Fill::linear || !earlier || !later) {
    return {};
  }
  const double part = static_cast<double>(start - earlier->start) /
                      static_cast<double>(later->start - earlier->start);
  BucketValues values;
  values.known = true;
  for (std::size_t i = 0; i < values.values.size(); ++i) {
    const double from = earlier->values.values[i];
    values.values[i] = from + (later->values.values[i] - from) * part;
  }
  return values;
}

bool BucketFill::pump(std::string& out, std::size_t bytes_max) {
  for (; stride_ > 0 ? next_ < gap_end_ : stride_ < 0 && next_ > gap_end_; next_ += stride_) {
    if (out.size() >= bytes_max) {
      return false;
    }
    text_.bucket(out, next_, made_up(next_));
  }
  if (pending_) {
    text_.bucket(out, pending_->start, pending_->values);
    next_ = pending_->start + stride_;
    if (pending_->values.known) {
      before_ = pending_;
    }
    pending_.reset();
  }
  return true;
}

}  // namespace skerry::twin
