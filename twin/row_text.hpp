// RowText: rows of an answer as JSON, NDJSON, CSV or SenML, appended piece by piece, so that an
// answer of any length needs no more memory than the caller's text. A row belongs to a series; a
// series may belong to a device or a group of devices.
//
//   begin · ( series · ( sample | bucket )+ )* · end
//
// JSON   {"series":[{"device","key","samples":[{"ts","value","flags"?}]}],"next"}, `buckets` with
//        the names of the aggregates instead of `samples`; {"items":[…],"next"} for newest samples
// others a line, a record per row
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "twin/query.hpp"
#include "twin/series_store.hpp"

namespace skerry::twin {

/// What one bucket says: nothing but `count` when there was no number in it.
struct BucketValues {
  std::uint64_t count = 0;
  bool known = false;
  std::array<double, aggregate_kinds> values{};  ///< by AggregateKind; `count` is not in it
};

BucketValues values_of(const Aggregate& aggregate) noexcept;

/// What `subject` of RowText::series() is, and the name of its member or column.
enum class RowSubject : std::uint8_t { none, device, group };

struct RowShape {
  AnswerForm form = AnswerForm::json;
  RowSubject subject = RowSubject::none;
  std::vector<AggregateKind> aggregates;  ///< empty: rows are samples
  bool newest = false;                    ///< one sample a series, "items" in JSON
  std::string device;                     ///< of SenML names when `subject` is none
  std::int64_t now = 0;  ///< epoch milliseconds, for SenML times that can only be relative
};

class RowText {
 public:
  explicit RowText(RowShape shape) : shape_(std::move(shape)) {}

  void begin(std::string& out);
  /// `unit` only stands in SenML. The texts are copied.
  void series(std::string& out, std::string_view subject, std::string_view key,
              std::string_view unit = {});
  void sample(std::string& out, std::int64_t timestamp, const Value& value, std::uint8_t flags);
  void bucket(std::string& out, std::int64_t start, const BucketValues& values);
  /// `cursor` only stands in JSON.
  void end(std::string& out, const std::optional<std::string>& cursor);

  const RowShape& shape() const noexcept { return shape_; }

 private:
  void close_series(std::string& out);
  void begin_row(std::string& out);
  void senml_record(std::string& out, std::string_view suffix, std::int64_t timestamp,
                    const Value& value);

  RowShape shape_;
  std::string prefix_;  ///< how each row of the series begins
  std::string subject_;
  std::string senml_base_;  ///< base name still to be said
  std::string senml_key_;
  std::string senml_unit_;
  bool series_is_open_ = false;
  bool any_series_ = false;
  bool any_row_ = false;
};

}  // namespace skerry::twin
