// Series as text: what the telemetry endpoints answer in JSON, NDJSON and CSV. Numbers are written
// in the shortest form that reads back exactly, instants in RFC 3339 UTC. Pure functions.
#pragma once

#include <string>

#include "twin/query.hpp"
#include "twin/series_store.hpp"

namespace skerry::twin {

/// The Content-Type of a form.
std::string_view content_type_of(AnswerForm form) noexcept;

/// JSON {"series":[{"key","samples":[{"ts","value","flags"?}]}],"next"}; in the other forms a line
/// per sample, key first, and the cursor is the caller's to hand on.
std::string series_text(const SeriesPage& page, AnswerForm form);

/// JSON {"items":[{"key","ts","value","flags"?}],"next"}; lines as above.
std::string latest_text(const LatestPage& page, AnswerForm form);

/// Where the next page of `page` begins.
std::optional<SeriesPosition> next_of(const LatestPage& page);

}  // namespace skerry::twin
