#include "twin/series/aggregate_page.hpp"

#include <algorithm>

#include "twin/series/totals_walk.hpp"

namespace skerry::twin::series {
namespace {

using storage::Status;

/// Joins the parts of each step; ends the walk with the bucket behind the `limit`-th.
class Buckets final : public TotalsVisitor {
 public:
  Buckets(std::int64_t step, std::size_t limit) : step_(step), limit_(limit) {}

  bool part(std::int64_t time, const Totals& totals) override {
    const std::int64_t start = floor_to(time, step_);
    if (starts_.empty() || starts_.back() != start) {
      if (starts_.size() == limit_) {
        more_ = true;
        return false;
      }
      starts_.push_back(start);
      totals_.emplace_back();
    }
    totals_.back().add(totals);
    return true;
  }

  bool more() const noexcept { return more_; }
  std::vector<AggregateBucket> take() const {
    std::vector<AggregateBucket> out;
    out.reserve(starts_.size());
    for (std::size_t i = 0; i < starts_.size(); ++i) {
      out.push_back({starts_[i], totals_[i].aggregate()});
    }
    return out;
  }

 private:
  std::int64_t step_;
  std::size_t limit_;
  std::vector<std::int64_t> starts_;
  std::vector<Totals> totals_;
  bool more_ = false;
};

Result<BucketAnswer, Status> read_ascending(const SeriesView& view, const BucketRequest& request) {
  Buckets buckets(request.step, request.limit);
  if (Status status = walk_totals(view, request.step, request.from, request.to, buckets);
      !status.ok()) {
    return status;
  }
  return BucketAnswer{buckets.take(), buckets.more()};
}

/// Newest first: windows from the end, each read in the order of time. A window that holds nothing
/// is followed by a longer one, one that holds too much by a shorter one in its place.
Result<BucketAnswer, Status> read_descending(const SeriesView& view, BucketRequest request) {
  const auto extent = extent_of(view);
  if (extent.has_error()) {
    return extent.error();
  }
  BucketAnswer answer;
  const std::size_t limit = request.limit;
  std::int64_t steps = static_cast<std::int64_t>(limit);
  const std::int64_t begin = std::max({request.from, extent->from, timestamp_min});
  std::int64_t end = std::min(
      {request.to, timestamp_max + 1, extent->to == INT64_MAX ? extent->to : extent->to + 1});
  while (end > begin && answer.buckets.size() <= limit) {
    // Windows begin at a multiple of the step, so that no bucket lies in two of them.
    const std::int64_t last = floor_to(end - 1, request.step);
    const bool reaches = (last - begin) / request.step < steps;
    const std::int64_t from = reaches ? begin : last - (steps - 1) * request.step;
    BucketRequest window{request.step, from, end, 4 * limit, false};
    auto read = read_ascending(view, window);
    if (read.has_error()) {
      return read.error();
    }
    if (read->more && steps > 1) {
      steps = std::max<std::int64_t>(steps / 4, 1);
      continue;
    }
    answer.buckets.insert(answer.buckets.end(), read->buckets.rbegin(), read->buckets.rend());
    steps = read->buckets.empty()
                ? std::min<std::int64_t>(steps * 8, INT64_MAX / series_step_max / 16)
                : steps;
    end = from;
  }
  answer.more = answer.buckets.size() > limit;
  if (answer.more) {
    answer.buckets.resize(limit);
  }
  return answer;
}

}  // namespace

Result<BucketAnswer, Status> read_buckets(const SeriesView& view, const BucketRequest& request) {
  return request.descending ? read_descending(view, request) : read_ascending(view, request);
}

}  // namespace skerry::twin::series
