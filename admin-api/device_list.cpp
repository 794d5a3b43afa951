// GET /api/v1/devices: filter, sort, choose fields, count, page. Judged and written on the reader
// pool, so that a large page does not hold up the admin loop.
#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <charconv>

#include "admin-api/device_json.hpp"
#include "admin-api/handlers.hpp"
#include "admin-api/rest.hpp"
#include "auth/device_index.hpp"
#include "http/await.hpp"

namespace skerry::admin_api {
namespace {

using boost::asio::awaitable;

constexpr std::string_view cursor_kind = "devices";
constexpr std::size_t fields_max = 32;

struct SortName {
  std::string_view name;
  auth::DeviceSort sort;
};

constexpr auto sort_names = std::to_array<SortName>({
    {"id", auth::DeviceSort::id},
    {"name", auth::DeviceSort::name},
    {"model", auth::DeviceSort::model},
    {"state", auth::DeviceSort::state},
    {"createdAt", auth::DeviceSort::created},
    {"changedAt", auth::DeviceSort::changed},
    {"notAfter", auth::DeviceSort::not_after},
    {"lastSeen", auth::DeviceSort::last_seen},
});

constexpr auto field_names = std::to_array<std::string_view>(
    {"id", "state", "createdAt", "changedAt", "revision", "name", "model", "serialNumber", "tags",
     "attributes", "notAfter", "keys", "request", "online", "lastSeen"});

using Fields = std::vector<std::string>;

struct Wish {
  auth::DeviceQuery query;
  Fields fields;     ///< empty: all
  std::string sort;  ///< as written, part of the cursor
};

using Refused = std::optional<http::Response>;

http::Response invalid(std::string_view name, const std::string& why) {
  return http::problem(400, "invalid_parameter", why, "/query/" + std::string{name});
}

std::string_view parameter(const http::Request& request, std::string_view name) {
  const auto at = request.query.find(name);
  return at == request.query.end() ? std::string_view{} : std::string_view{at->second};
}

Refused read_filter(const http::Request& request, Wish& wish) {
  auto parsed = auth::parse_device_filter(parameter(request, "filter"));
  if (!parsed) {
    return http::problem(
        400, "invalid_filter",
        parsed.error().what + " (at byte " + std::to_string(parsed.error().offset) + ")",
        "/query/filter");
  }
  wish.query.filter = *std::move(parsed);
  const std::string_view state = parameter(request, "state");
  if (state.empty()) {
    return std::nullopt;
  }
  if (!auth::state_of(state)) {
    return invalid("state", "state must be preauthorised, pending, enrolled, suspended or retired");
  }
  filter::Node both;
  both.children.push_back(wish.query.filter.root());
  both.children.push_back(filter::parse("state:" + std::string{state})->root());
  wish.query.filter = filter::Filter{std::move(both)};
  return std::nullopt;
}

/// "id", "-changedAt", "-lastSeen,id": one field, equals always by id.
Refused read_sort(const http::Request& request, Wish& wish) {
  std::string_view text = parameter(request, "sort");
  if (text.empty()) {
    text = "id";
  }
  wish.sort = text;
  wish.query.descending = text.starts_with('-');
  text.remove_prefix(wish.query.descending ? 1 : 0);
  if (text != "id" && text.ends_with(",id")) {
    text.remove_suffix(3);
  }
  const auto at = std::find_if(sort_names.begin(), sort_names.end(),
                               [text](const SortName& known) { return known.name == text; });
  if (at == sort_names.end()) {
    return invalid("sort",
                   "sort is one of id, name, model, state, createdAt, changedAt, notAfter and "
                   "lastSeen, downwards with a minus before it");
  }
  wish.query.sort = at->sort;
  return std::nullopt;
}

Refused read_fields(const http::Request& request, Wish& wish) {
  std::string_view text = parameter(request, "fields");
  while (!text.empty()) {
    const std::string_view name = text.substr(0, text.find(','));
    text.remove_prefix(std::min(name.size() + 1, text.size()));
    const std::string_view first = name.substr(0, name.find('.'));
    const bool known =
        std::find(field_names.begin(), field_names.end(), first) != field_names.end() &&
        (first == name || first == "attributes");
    if (!known || wish.fields.size() == fields_max) {
      return invalid("fields",
                     "fields is a list, by commas, of at most 32 members of a device; "
                     "attributes.NAME is one attribute");
    }
    wish.fields.emplace_back(name);
  }
  return std::nullopt;
}

Refused read_count(const http::Request& request, Wish& wish) {
  const std::string_view text = parameter(request, "count");
  wish.query.count = text == "exact";
  if (!text.empty() && text != "exact" && text != "none") {
    return invalid("count", "count is exact or none");
  }
  return std::nullopt;
}

/// "sort NUL number NUL id NUL text": opaque to others, ours to check.
std::string position_of(const Wish& wish, const auth::DevicePlace& place) {
  const char end = '\0';
  return wish.sort + end + std::to_string(place.number) + end + place.id + end + place.text;
}

std::optional<auth::DevicePlace> place_of(const Wish& wish, std::string_view position) {
  const auto next = [&position]() -> std::optional<std::string_view> {
    const std::size_t end = position.find('\0');
    if (end == std::string_view::npos) {
      return std::nullopt;
    }
    const std::string_view part = position.substr(0, end);
    position.remove_prefix(end + 1);
    return part;
  };
  const auto sort = next();
  const auto number = sort == wish.sort ? next() : std::nullopt;
  const auto id = number ? next() : std::nullopt;
  auth::DevicePlace place;
  if (!id || std::from_chars(number->data(), number->data() + number->size(), place.number).ptr !=
                 number->data() + number->size()) {
    return std::nullopt;
  }
  place.id = *id;
  place.text = position;
  return place;
}

Result<Wish, http::Response> read_wish(const http::Request& request) {
  const auto page = read_page(request, cursor_kind, {"filter", "state", "sort", "fields", "count"});
  if (!page) {
    return page.error();
  }
  Wish wish;
  wish.query.limit = page->limit;
  for (auto* read : {&read_filter, &read_sort, &read_fields, &read_count}) {
    if (Refused refused = (*read)(request, wish)) {
      return *std::move(refused);
    }
  }
  if (!page->after.empty()) {
    wish.query.after = place_of(wish, page->after);
    if (!wish.query.after) {
      return invalid("cursor", "this cursor belongs to a list that is sorted in another way");
    }
  }
  return wish;
}

boost::json::object chosen_fields(const boost::json::object& device, const Fields& fields) {
  boost::json::object chosen;
  for (const std::string& name : fields) {
    const std::size_t dot = name.find('.');
    if (dot == std::string::npos) {
      if (const boost::json::value* value = device.if_contains(name)) {
        chosen[name] = *value;
      }
      continue;
    }
    const auto& attributes = device.at("attributes").get_object();
    const std::string inner = name.substr(dot + 1);
    if (const boost::json::value* value = attributes.if_contains(inner)) {
      boost::json::value& target = chosen["attributes"];
      if (!target.is_object()) {
        target.emplace_object();
      }
      target.get_object()[inner] = *value;
    }
  }
  chosen["id"] = device.at("id");
  return chosen;
}

void add_presence(boost::json::object& device, const auth::DevicePresence& presence) {
  if (presence.online) {
    device["online"] = *presence.online;
  }
  if (presence.last_seen) {
    device["lastSeen"] = format_time(*presence.last_seen);
  }
}

boost::json::object item_of(const auth::FoundDevice& found, const Fields& fields) {
  boost::json::object device = json_of(*found.device);
  add_presence(device, found.presence);
  return fields.empty() ? device : chosen_fields(device, fields);
}

class DeviceList {
 public:
  explicit DeviceList(Services services) : services_(std::move(services)) {}

  awaitable<http::Response> list(const http::Request& request) {
    auto wish = read_wish(request);
    if (!wish) {
      co_return wish.error();
    }
    const WallTime now = services_->clock().wall;
    services_->registry.expire_pending(now);
    // The request outlives this coroutine, and so the work on the pool.
    auto work = [&index = services_->index, &request, &wish = *wish, now] {
      return respond(index, request, wish, now);
    };
    auto busy = [] {
      http::Response response = http::problem(503, "server_busy", "too many questions at once");
      response.headers.emplace_back("Retry-After", "1");
      return response;
    };
    co_return co_await http::run_blocking<http::Response>(services_->readers, work, busy);
  }

 private:
  static http::Response respond(auth::DeviceIndex& index, const http::Request& request,
                                const Wish& wish, WallTime now) {
    const auth::DeviceMatches found = index.query(wish.query, now);
    boost::json::array items;
    items.reserve(found.devices.size());
    for (const auth::FoundDevice& device : found.devices) {
      items.push_back(item_of(device, wish.fields));
    }
    std::optional<std::string> next;
    if (found.last) {
      next = encode_cursor(cursor_kind, position_of(wish, *found.last));
    }
    return page_response(request, std::move(items), next, found.count);
  }

  Services services_;
};

}  // namespace

http::EndpointTable device_list_endpoints(const Services& services) {
  const auto handlers = std::make_shared<DeviceList>(services);
  return {{"GET", "/api/v1/devices", http::Guard::token, 0,
           [handlers](const http::Request& request) { return handlers->list(request); }}};
}

}  // namespace skerry::admin_api
