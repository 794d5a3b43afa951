#include "twin/answer.hpp"

#include <algorithm>

#include "base/limits.hpp"
#include "twin/value_text.hpp"

namespace skerry::twin {
namespace {

using storage::Status;

/// Rows that a streamed answer reads at once.
constexpr std::size_t streamed_page_rows = 2'000;

}  // namespace

std::string unit_or_none(const UnitBook& units, std::string_view device, std::string_view key) {
  auto unit = units.unit_of(device, key);
  return unit.has_value() ? *std::move(unit) : std::string{};
}

DeviceRows::DeviceRows(AnswerSources sources, const TelemetryQuery& query, RowText& text)
    : sources_(sources), query_(query), text_(text), fill_(query, text) {}

void DeviceRows::start(std::string device, std::string subject) {
  device_ = std::move(device);
  subject_ = std::move(subject);
  samples_ = {};
  buckets_ = {};
  series_index_ = 0;
  row_index_ = 0;
  start_ = query_.start;
  key_.reset();
  fetched_ = false;
  last_page_ = false;
}

/// Both kinds of query have the same shape.
template <typename Query>
static Query page_query(const TelemetryQuery& query, const std::string& device,
                        const std::optional<SeriesPosition>& start) {
  Query out;
  out.device = device;
  out.keys = query.keys;
  out.from = query.from;
  out.to = query.to;
  out.descending = query.descending;
  out.limit = std::min(query.limit.value_or(streamed_page_rows), series_page_samples_max);
  out.start = start;
  return out;
}

Result<AnswerState, Status> DeviceRows::fetch() {
  std::optional<SeriesPosition> next;
  if (query_.step) {
    auto wanted = page_query<AggregateQuery>(query_, device_, start_);
    wanted.step = *query_.step;
    auto page = sources_.store.aggregate(wanted);
    if (page.has_error()) {
      return page.error();
    }
    buckets_ = *std::move(page);
    next = std::move(buckets_.next);
  } else {
    auto page = sources_.store.query(page_query<SeriesQuery>(query_, device_, start_));
    if (page.has_error()) {
      return page.error();
    }
    samples_ = *std::move(page);
    next = std::move(samples_.next);
  }
  series_index_ = 0;
  row_index_ = 0;
  fetched_ = true;
  last_page_ = !next || query_.limit;
  start_ = std::move(next);
  return AnswerState::more;
}

bool DeviceRows::has_page() const noexcept {
  return series_index_ < (query_.step ? buckets_.series.size() : samples_.series.size());
}

/// True when a series was open: its trailing gap is now to be written.
bool DeviceRows::close_series() noexcept {
  if (!key_) {
    return false;
  }
  key_.reset();
  fill_.finish();
  return true;
}

/// False: the series before must be finished first.
bool DeviceRows::open_series(std::string& out, const std::string& key) {
  if (key_ == key) {
    return true;
  }
  if (close_series()) {
    return false;
  }
  std::string unit;
  if (text_.shape().form == AnswerForm::senml) {
    unit = unit_or_none(sources_.units, device_, key);
  }
  text_.series(out, subject_, key, unit);
  fill_.start();
  key_ = key;
  return true;
}

void DeviceRows::write_row(std::string& out) {
  std::size_t rows = 0;
  if (query_.step) {
    const AggregateSeries& series = buckets_.series[series_index_];
    if (!open_series(out, series.key)) {
      return;
    }
    const AggregateBucket& bucket = series.buckets[row_index_];
    fill_.offer(bucket.start, values_of(bucket.values));
    rows = series.buckets.size();
  } else {
    const Series& series = samples_.series[series_index_];
    if (!open_series(out, series.key)) {
      return;
    }
    const StoredSample& sample = series.samples[row_index_];
    text_.sample(out, sample.timestamp, view_of(sample.value), sample.flags);
    rows = series.samples.size();
  }
  any_ = true;
  if (++row_index_ == rows) {
    row_index_ = 0;
    ++series_index_;
  }
}

Result<AnswerState, Status> DeviceRows::step(std::string& out) {
  bool may_fetch = true;
  for (;;) {
    if (!fill_.pump(out, answer_chunk_bytes) || out.size() >= answer_chunk_bytes) {
      return AnswerState::more;
    }
    if (has_page()) {
      write_row(out);
      continue;
    }
    if (fetched_ && last_page_) {
      if (close_series()) {
        continue;
      }
      return AnswerState::done;
    }
    if (!may_fetch) {
      return AnswerState::more;
    }
    may_fetch = false;
    if (const auto fetched = fetch(); fetched.has_error()) {
      return fetched.error();
    }
  }
}

DeviceAnswer::DeviceAnswer(AnswerSources sources, std::string device, TelemetryQuery query,
                           RowShape shape)
    : query_(std::move(query)), text_(std::move(shape)), rows_(sources, query_, text_) {
  rows_.start(std::move(device), {});
}

Result<AnswerState, Status> DeviceAnswer::step(std::string& out) {
  if (!begun_) {
    text_.begin(out);
    begun_ = true;
  }
  const auto state = rows_.step(out);
  if (state.has_value() && *state == AnswerState::done) {
    const auto& place = rows_.next();
    text_.end(out, place ? std::optional(encode_cursor(*place)) : std::nullopt);
  }
  return state;
}

}  // namespace skerry::twin
