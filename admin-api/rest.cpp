// What the REST handlers share: times, cursors, page sizes, entity tags.
#include "admin-api/rest.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <charconv>

#include "crypto/encoding.hpp"
#include "twin/time_text.hpp"

namespace skerry::admin_api {
namespace {

/// A cursor holds an owner and a client id at most.
constexpr std::size_t cursor_bytes_max = 70 * 1024;

}  // namespace

std::string format_time(WallTime time) {
  std::string text;
  twin::append_rfc3339(text, epoch_milliseconds(time));
  return text;
}

std::string encode_cursor(std::string_view kind, std::string_view position) {
  std::string plain{kind};
  plain.append(1, ':').append(position);
  return crypto::base64url_encode(plain);
}

std::optional<std::string> decode_cursor(std::string_view kind, std::string_view cursor) {
  std::string standard{cursor};
  std::replace(standard.begin(), standard.end(), '-', '+');
  std::replace(standard.begin(), standard.end(), '_', '/');
  standard.append((4 - standard.size() % 4) % 4, '=');
  const auto plain = crypto::base64_decode(standard, cursor_bytes_max);
  const std::string prefix = std::string{kind} + ":";
  if (!plain || !plain->starts_with(prefix)) {
    return std::nullopt;
  }
  return plain->substr(prefix.size());
}

Result<Page, http::Response> read_page(const http::Request& request, std::string_view kind,
                                       std::initializer_list<std::string_view> also_known) {
  Page page;
  for (const auto& [name, value] : request.query) {
    if (name == "limit") {
      const char* end = value.data() + value.size();
      const auto parsed = std::from_chars(value.data(), end, page.limit);
      if (parsed.ec != std::errc{} || parsed.ptr != end || page.limit < 1 ||
          page.limit > page_size_max) {
        return http::problem(400, "invalid_parameter",
                             "limit must be a number from 1 to " + std::to_string(page_size_max),
                             "/query/limit");
      }
    } else if (name == "cursor") {
      const auto position = decode_cursor(kind, value);
      if (!position) {
        return http::problem(400, "invalid_parameter",
                             "cursor must be the \"next\" of an earlier answer of this list",
                             "/query/cursor");
      }
      page.after = *position;
    } else if (std::find(also_known.begin(), also_known.end(), name) == also_known.end()) {
      return http::problem(400, "invalid_parameter",
                           "the query parameter \"" + name.substr(0, 64) + "\" is not known here");
    }
  }
  return page;
}

http::Response page_response(const http::Request& request, boost::json::array items,
                             const std::optional<std::string>& next,
                             std::optional<std::size_t> count) {
  boost::json::object body;
  if (count) {
    body["count"] = *count;
  }
  body["items"] = std::move(items);
  body["next"] = next ? boost::json::value(*next) : boost::json::value(nullptr);
  http::Response response = http::json_response(body);
  if (next) {
    std::string link = "<" + request.path + "?cursor=" + crypto::percent_encode(*next);
    for (const auto& [name, value] : request.query) {
      if (name != "cursor") {
        link += "&" + crypto::percent_encode(name) + "=" + crypto::percent_encode(value);
      }
    }
    response.headers.emplace_back("Link", link + ">; rel=\"next\"");
  }
  return response;
}

namespace {

/// Does one tag of the list, or "*", fulfil `fits`? None of ours holds a comma.
template <typename Fits>
bool any_tag(std::string_view list, Fits fits) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    std::string_view candidate = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    while (!candidate.empty() && (candidate.front() == ' ' || candidate.front() == '\t')) {
      candidate.remove_prefix(1);
    }
    while (!candidate.empty() && (candidate.back() == ' ' || candidate.back() == '\t')) {
      candidate.remove_suffix(1);
    }
    if (candidate == "*" || fits(candidate)) {
      return true;
    }
  }
  return false;
}

}  // namespace

bool if_match_holds(std::string_view if_match, std::string_view etag) {
  return any_tag(if_match, [etag](std::string_view tag) { return tag == etag; });
}

bool if_none_match_names(std::string_view if_none_match, std::string_view etag) {
  return any_tag(if_none_match, [etag](std::string_view tag) {
    tag.remove_prefix(tag.starts_with("W/") ? 2 : 0);
    return tag == etag;
  });
}

http::Response storage_problem(const storage::Status& status) {
  if (status.code == storage::StatusCode::full) {
    return http::problem(507, "storage_full", "the disk is full; nothing was changed");
  }
  http::Response response =
      http::problem(503, "storage_unavailable",
                    "the change could not be stored; the server's log has the reason");
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

}  // namespace skerry::admin_api
