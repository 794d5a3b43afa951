// Answers in steps: each reads a little from the store and appends a little text, so that an answer
// of any length holds one page and one chunk. Steps block and belong on the reader pool; between
// two of them nothing is held but the place where it goes on. For one thread at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "twin/bucket_fill.hpp"
#include "twin/row_text.hpp"
#include "twin/series_store.hpp"
#include "twin/unit_book.hpp"

namespace skerry::twin {

/// Text after which a step ends.
inline constexpr std::size_t answer_chunk_bytes = 64 * 1024;

enum class AnswerState : std::uint8_t { more, done };

class Answer {
 public:
  virtual ~Answer() = default;
  /// Appends what comes next, maybe nothing yet. After an error or `done` it is over.
  virtual Result<AnswerState, storage::Status> step(std::string& out) = 0;
  /// Known when done: where the next page begins.
  virtual std::optional<SeriesPosition> next() const { return {}; }
  /// Rows were written.
  virtual bool any() const = 0;
};

/// What answers read from; both must outlive them.
struct AnswerSources {
  const SeriesStore& store;
  const UnitBook& units;
};

/// A row without its unit is better than none, so a unit that cannot be read is none.
std::string unit_or_none(const UnitBook& units, std::string_view device, std::string_view key);

/// The rows of one device after the other, without beginning and end.
class DeviceRows {
 public:
  /// `query` and `text` must outlive this object.
  DeviceRows(AnswerSources sources, const TelemetryQuery& query, RowText& text);

  /// Begins with a device, at the place that the query names.
  void start(std::string device, std::string subject);
  /// Writes up to some `answer_chunk_bytes`, reads at most one page.
  Result<AnswerState, storage::Status> step(std::string& out);

  const std::optional<SeriesPosition>& next() const noexcept { return start_; }
  bool any() const noexcept { return any_; }

 private:
  Result<AnswerState, storage::Status> fetch();
  bool has_page() const noexcept;
  void write_row(std::string& out);
  bool open_series(std::string& out, const std::string& key);
  bool close_series() noexcept;

  AnswerSources sources_;
  const TelemetryQuery& query_;
  RowText& text_;
  BucketFill fill_;
  std::string device_;
  std::string subject_;
  SeriesPage samples_;  ///< the page at hand, of one of the two kinds
  AggregatePage buckets_;
  std::size_t series_index_ = 0;
  std::size_t row_index_ = 0;
  std::optional<SeriesPosition> start_;  ///< of the page behind the one at hand
  std::optional<std::string> key_;       ///< of the series that is open
  bool fetched_ = false;                 ///< a page has been read
  bool last_page_ = false;
  bool any_ = false;
};

/// One device's telemetry, from head to end.
class DeviceAnswer final : public Answer {
 public:
  DeviceAnswer(AnswerSources sources, std::string device, TelemetryQuery query, RowShape shape);
  Result<AnswerState, storage::Status> step(std::string& out) override;
  std::optional<SeriesPosition> next() const override { return rows_.next(); }
  bool any() const override { return rows_.any(); }

 private:
  const TelemetryQuery query_;
  RowText text_;
  DeviceRows rows_;
  bool begun_ = false;
};

}  // namespace skerry::twin
