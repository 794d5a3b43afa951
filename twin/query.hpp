// From a REST request to a query: parameters, cursors and the wanted form of the answer. The same
// names stand in a query string and in a JSON body. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/now.hpp"
#include "base/result.hpp"
#include "twin/series_store.hpp"

namespace skerry::twin {

/// Which parameter is wrong and what it should be.
struct QueryError {
  std::string parameter;
  std::string detail;
};

/// What a bucket answers, in the order of the names in `agg`.
enum class AggregateKind : std::uint8_t { average, minimum, maximum, sum, count, first, last };
inline constexpr std::size_t aggregate_kinds = 7;

/// "avg", "min", "max", "sum", "count", "first", "last".
std::string_view name_of(AggregateKind kind) noexcept;

/// What stands in a bucket without a sample.
enum class Fill : std::uint8_t {
  none,      ///< the bucket is left out
  null,      ///< nothing
  previous,  ///< the values of the bucket before
  linear,    ///< values on the line between its neighbours
};

struct TelemetryQuery {
  std::vector<std::string> keys;  ///< empty: all
  std::int64_t from = INT64_MIN;  ///< included, epoch milliseconds
  std::optional<std::int64_t> to;
  std::optional<std::int64_t> step;  ///< milliseconds; without it samples as they are
  std::vector<AggregateKind> aggregates;
  Fill fill = Fill::none;
  bool descending = false;
  std::optional<std::size_t> limit;  ///< rows of a page; nullopt: all rows, streamed
  std::optional<SeriesPosition> start;
};

/// Parameters by name, decoded.
using Parameters = std::map<std::string, std::string, std::less<>>;

/// `keys` (by commas; a comma or backslash inside a key is written `\,` `\\`), `from` (included),
/// `to` (excluded), `step`, `agg`, `fill`, `order`, `limit` (a number or "all"), `cursor`; others
/// are errors, but for those in `also_known`. Without `limit` it is `limit_default`.
Result<TelemetryQuery, QueryError> read_telemetry_query(
    const Parameters& parameters, WallTime now, std::optional<std::size_t> limit_default,
    std::initializer_list<std::string_view> also_known = {});

struct LatestParameters {
  std::vector<std::string> keys;
  std::optional<std::size_t> limit;
  std::string after;  ///< of the cursor: a key or a device
};

/// `keys`, `limit`, `cursor` and what is `also_known`.
Result<LatestParameters, QueryError> read_latest_parameters(
    const Parameters& parameters, std::optional<std::size_t> limit_default,
    std::initializer_list<std::string_view> also_known = {});

struct EraseParameters {
  std::optional<std::string> key;
  std::int64_t from = INT64_MIN;
  std::optional<std::int64_t> to;
};

/// `key`, `from`, `to`; others are errors.
Result<EraseParameters, QueryError> read_erase_parameters(const Parameters& parameters,
                                                          WallTime now);

/// A key that a series may have.
bool is_series_key(std::string_view key) noexcept;

/// Opaque text for the place where the next page begins, of hexadecimal digits.
std::string encode_cursor(const SeriesPosition& position);
std::optional<SeriesPosition> decode_cursor(std::string_view text);

enum class AnswerForm : std::uint8_t { json, csv, ndjson, senml };

/// The first form we have among those the Accept header names (RFC 9110 section 12.5.1; weights
/// other than 0 are not compared); JSON without the header. nullopt: 406.
std::optional<AnswerForm> accepted_form(std::string_view accept);
std::string_view content_type_of(AnswerForm form) noexcept;

}  // namespace skerry::twin
