// From a REST request to a query of the series store: parameters, cursors and the wanted form of
// the answer. Pure functions, any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/now.hpp"
#include "base/result.hpp"
#include "http/message.hpp"
#include "twin/series_store.hpp"

namespace skerry::twin {

/// Which parameter is wrong and what it should be.
struct QueryError {
  std::string parameter;
  std::string detail;
};

/// Parameters `keys` (by commas; a comma or backslash inside a key is written `\,` `\\`), `from`
/// (included), `to` (excluded), `limit`, `order`, `cursor`; others are errors. The device is the
/// route's.
Result<SeriesQuery, QueryError> read_series_query(const http::Request& request, WallTime now);

/// Parameters `limit` and `cursor`; others are errors.
Result<LatestQuery, QueryError> read_latest_query(const http::Request& request, WallTime now);

/// Opaque text for the place where the next page begins, of hexadecimal digits.
std::string encode_cursor(const SeriesPosition& position);
std::optional<SeriesPosition> decode_cursor(std::string_view text);

enum class AnswerForm : std::uint8_t { json, csv, ndjson };

/// The first form we have among those the Accept header names (RFC 9110 section 12.5.1; weights
/// other than 0 are not compared); JSON without the header. nullopt: 406.
std::optional<AnswerForm> accepted_form(std::string_view accept);

}  // namespace skerry::twin
