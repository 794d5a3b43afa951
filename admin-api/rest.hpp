// What the REST handlers share: times, cursors, page sizes, entity tags. Text in, text out.
#pragma once

#include <boost/json/array.hpp>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/now.hpp"
#include "base/result.hpp"
#include "http/message.hpp"
#include "storage/status.hpp"

namespace skerry::admin_api {

inline constexpr std::uint32_t page_size_max = 500;
inline constexpr std::uint32_t page_size_default = 50;

/// "2026-11-22T17:09:31.123Z" (RFC 3339, UTC).
std::string format_time(WallTime time);

/// A place in a list, opaque to the caller; `kind` keeps cursors of different lists apart.
std::string encode_cursor(std::string_view kind, std::string_view position);
std::optional<std::string> decode_cursor(std::string_view kind, std::string_view cursor);

struct Page {
  std::uint32_t limit = page_size_default;
  std::string after;  ///< decoded position; empty: from the start
};

/// `limit` and `cursor` of the query, or the 400 to answer. `also_known`: the list's own
/// parameters; any other name is refused, since a misspelled filter must not list everything.
Result<Page, http::Response> read_page(const http::Request& request, std::string_view kind,
                                       std::initializer_list<std::string_view> also_known = {});

/// `{"items": …, "next": …}` and, when there is more, `Link: …; rel="next"` (RFC 8288). `count` is
/// how many there are on all pages, where that was asked for.
http::Response page_response(const http::Request& request, boost::json::array items,
                             const std::optional<std::string>& next,
                             std::optional<std::size_t> count = std::nullopt);

/// The position behind which the next page begins, when `found` holds more than fit on this one;
/// what does not fit is taken out. Lists are asked for one more than `page.limit`.
template <typename Item, typename PositionOf>
std::optional<std::string> cut_page(std::vector<Item>& found, const Page& page,
                                    std::string_view kind, PositionOf position_of) {
  if (found.size() <= page.limit) {
    return std::nullopt;
  }
  found.erase(found.begin() + page.limit, found.end());
  return encode_cursor(kind, position_of(found.back()));
}

/// True when `etag` satisfies an If-Match header by strong comparison (RFC 9110 section 13.1.1):
/// "*" or a list with this tag.
bool if_match_holds(std::string_view if_match, std::string_view etag);

/// True when an If-None-Match header names `etag` by weak comparison (section 13.1.2): on the way a
/// cache or a compressing proxy may have made the tag a weak one.
bool if_none_match_names(std::string_view if_none_match, std::string_view etag);

/// 503 or 507 for what storage could not do.
http::Response storage_problem(const storage::Status& status);

}  // namespace skerry::admin_api
