// /api/v1/enrolment-tokens: secrets that let devices in whose key nobody could know beforehand.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "admin-api/handlers.hpp"
#include "admin-api/rest.hpp"
#include "base/limits.hpp"
#include "http/json_body.hpp"

namespace skerry::admin_api {
namespace {

using boost::asio::awaitable;

constexpr std::size_t body_bytes_max = 16 * 1024;
constexpr std::chrono::seconds life_default = std::chrono::days{7};
constexpr std::chrono::seconds life_max = std::chrono::days{366};
constexpr std::string_view cursor_kind = "enrolment-tokens";

boost::json::object json_of(const auth::EnrolmentToken& token, WallTime now) {
  boost::json::array tags;
  for (const std::string& tag : token.tags) {
    tags.emplace_back(tag);
  }
  boost::json::object object;
  object["id"] = token.id;
  object["deviceId"] =
      token.device.empty() ? boost::json::value(nullptr) : boost::json::value(token.device);
  object["model"] = token.model;
  object["tags"] = std::move(tags);
  object["createdBy"] = token.created_by;
  object["createdAt"] = format_time(token.created);
  object["expiresAt"] = format_time(token.expires);
  object["maxUses"] = token.uses_max;
  object["uses"] = token.uses;
  object["usable"] = token.is_good(now);
  const bool used = token.last_used != WallTime{};
  object["lastUsedAt"] =
      used ? boost::json::value(format_time(token.last_used)) : boost::json::value(nullptr);
  object["lastDeviceId"] =
      used ? boost::json::value(token.last_device) : boost::json::value(nullptr);
  return object;
}

http::Response invalid(std::string_view pointer, std::string_view detail) {
  return http::problem(422, "field_invalid", detail, pointer);
}

/// Reads the whole number at `name`; `target` stays as it is when it is absent.
std::optional<http::Response> read_number(const boost::json::object& body, const std::string& name,
                                          std::int64_t maximum, std::int64_t& target) {
  const boost::json::value* value = body.if_contains(name);
  if (value == nullptr) {
    return std::nullopt;
  }
  if (!value->is_int64() || value->get_int64() < 1 || value->get_int64() > maximum) {
    return invalid("/" + name,
                   "\"" + name + "\" must be a whole number from 1 to " + std::to_string(maximum));
  }
  target = value->get_int64();
  return std::nullopt;
}

/// What the devices of a template are; the registry's rules judge it.
std::optional<http::Response> read_template(const boost::json::object& body,
                                            auth::EnrolmentToken& token) {
  if (body.contains("model")) {
    auto model = http::string_field(body, "model");
    if (!model) {
      return std::move(model).error();
    }
    token.model = *std::move(model);
  }
  if (const boost::json::value* tags = body.if_contains("tags")) {
    if (!tags->is_array() || tags->get_array().size() > tags_per_device_max) {
      return invalid("/tags", "\"tags\" must be a list of texts");
    }
    for (const boost::json::value& tag : tags->get_array()) {
      if (!tag.is_string()) {
        return invalid("/tags", "\"tags\" must be a list of texts");
      }
      token.tags.emplace_back(tag.get_string());
    }
  }
  auth::DevicePatch patch;
  patch.model = token.model;
  patch.tags = token.tags;
  if (const auto failure = auth::check_patch(patch)) {
    return invalid(failure->field, failure->what);
  }
  return std::nullopt;
}

Result<auth::EnrolmentToken, http::Response> read_wish(const http::Request& request, WallTime now) {
  auto body = http::parse_json_object(request);
  if (!body) {
    return std::move(body).error();
  }
  if (auto refused = http::refuse_unknown_fields(
          *body, {"deviceId", "model", "tags", "expiresIn", "maxUses"})) {
    return *std::move(refused);
  }
  auth::EnrolmentToken token;
  if (body->contains("deviceId")) {
    auto device = http::string_field(*body, "deviceId");
    if (!device) {
      return std::move(device).error();
    }
    if (!auth::is_valid_device_id(*device)) {
      return http::problem(422, "invalid_device_id", "this is not a device id", "/deviceId");
    }
    token.device = *std::move(device);
  }
  if (auto refused = read_template(*body, token)) {
    return *std::move(refused);
  }
  std::int64_t life = life_default.count();
  std::int64_t uses = 1;
  if (auto refused = read_number(*body, "expiresIn", life_max.count(), life)) {
    return *std::move(refused);
  }
  if (auto refused = read_number(*body, "maxUses", enrolment_token_uses_max, uses)) {
    return *std::move(refused);
  }
  token.expires = now + std::chrono::seconds{life};
  token.uses_max = static_cast<std::uint32_t>(uses);
  return token;
}

class EnrolmentTokenHandlers {
 public:
  explicit EnrolmentTokenHandlers(Services services) : services_(std::move(services)) {}

  awaitable<http::Response> create(const http::Request& request);
  awaitable<http::Response> list(const http::Request& request);
  awaitable<http::Response> show(const http::Request& request);
  awaitable<http::Response> erase(const http::Request& request);

 private:
  auth::EnrolmentTokens& tokens() { return services_->certificates->enrolment_tokens; }

  Services services_;
};

awaitable<http::Response> EnrolmentTokenHandlers::create(const http::Request& request) {
  const WallTime now = services_->clock().wall;
  auto wish = read_wish(request, now);
  if (!wish) {
    co_return std::move(wish).error();
  }
  auth::Actor actor{request.principal, request.peer_address};
  const auto created = co_await tokens().create(*std::move(wish), std::move(actor), now);
  if (created.at_limit) {
    co_return http::problem(409, "enrolment_token_limit",
                            "there are too many enrolment tokens; delete some first");
  }
  if (!created.status.ok()) {
    co_return storage_problem(created.status);
  }
  services_->log("admin: " + request.principal + " created enrolment token " + created.token.id);
  boost::json::object body = json_of(created.token, now);
  body["token"] = created.secret;
  http::Response response = http::json_response(body, 201);
  response.headers.emplace_back("Location", "/api/v1/enrolment-tokens/" + created.token.id);
  response.headers.emplace_back("Cache-Control", "no-store");
  co_return response;
}

awaitable<http::Response> EnrolmentTokenHandlers::list(const http::Request& request) {
  const auto page = read_page(request, cursor_kind);
  if (!page) {
    co_return page.error();
  }
  std::vector<auth::EnrolmentToken> found = tokens().list(page->after, page->limit + 1);
  const auto next = cut_page(found, *page, cursor_kind, [](const auto& each) { return each.id; });
  const WallTime now = services_->clock().wall;
  boost::json::array items;
  for (const auth::EnrolmentToken& token : found) {
    items.push_back(json_of(token, now));
  }
  co_return page_response(request, std::move(items), next);
}

http::Response token_not_found() {
  return http::problem(404, "enrolment_token_not_found",
                       "there is no enrolment token with this id");
}

awaitable<http::Response> EnrolmentTokenHandlers::show(const http::Request& request) {
  const auth::EnrolmentToken* token = tokens().find(request.parameters.at("id"));
  co_return token == nullptr ? token_not_found()
                             : http::json_response(json_of(*token, services_->clock().wall));
}

awaitable<http::Response> EnrolmentTokenHandlers::erase(const http::Request& request) {
  const std::string id = request.parameters.at("id");
  auth::Actor actor{request.principal, request.peer_address};
  const auto erased = co_await tokens().erase(id, std::move(actor));
  if (!erased.found) {
    co_return token_not_found();
  }
  services_->log("admin: " + request.principal + " deleted enrolment token " + id);
  if (!erased.status.ok()) {
    co_return storage_problem(erased.status);
  }
  co_return http::no_content();
}

}  // namespace

http::EndpointTable enrolment_token_endpoints(const Services& services) {
  const auto handlers = std::make_shared<EnrolmentTokenHandlers>(services);
  return {
      {"POST", "/api/v1/enrolment-tokens", http::Guard::token, body_bytes_max,
       [handlers](const http::Request& request) { return handlers->create(request); }},
      {"GET", "/api/v1/enrolment-tokens", http::Guard::token, 0,
       [handlers](const http::Request& request) { return handlers->list(request); }},
      {"GET", "/api/v1/enrolment-tokens/{id}", http::Guard::token, 0,
       [handlers](const http::Request& request) { return handlers->show(request); }},
      {"DELETE", "/api/v1/enrolment-tokens/{id}", http::Guard::token, 0,
       [handlers](const http::Request& request) { return handlers->erase(request); }},
  };
}

}  // namespace skerry::admin_api
