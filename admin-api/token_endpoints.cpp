// /api/v1/tokens: a password for a token, and what tokens there are.
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value_from.hpp>

#include "admin-api/audited.hpp"
#include "admin-api/handlers.hpp"
#include "admin-api/rest.hpp"
#include "base/limits.hpp"
#include "crypto/password.hpp"
#include "http/await.hpp"
#include "http/json_body.hpp"
#include "http/scope.hpp"

namespace skerry::admin_api {
namespace {

using boost::asio::awaitable;

constexpr std::size_t body_bytes_max = 8 * 1024;
constexpr std::chrono::seconds life_default = std::chrono::days{30};
constexpr std::chrono::seconds life_min{60};
constexpr std::chrono::seconds life_max = std::chrono::days{366};
constexpr std::string_view cursor_kind = "tokens";

struct TokenWish {
  std::string user;  ///< empty: a token asks instead of a password
  std::string password;
  std::string name = "token";
  std::optional<std::vector<std::string>> scopes;
  std::optional<std::chrono::seconds> life;
  WallTime expires{};
  std::string made_by;
};

/// `user` and `password`, which may both be left out when a token asks.
std::optional<http::Response> read_credentials(const boost::json::object& body, bool by_token,
                                               TokenWish& wish) {
  if (by_token && !body.contains("user") && !body.contains("password")) {
    return std::nullopt;
  }
  for (const auto& [field, target] :
       {std::pair{"user", &wish.user}, {"password", &wish.password}}) {
    auto text = http::string_field(body, field);
    if (!text) {
      return std::move(text).error();
    }
    *target = *std::move(text);
  }
  if (wish.user.empty()) {
    return http::problem(422, "field_invalid", "\"user\" must not be empty", "/user");
  }
  if (wish.password.size() > crypto::password_bytes_max) {
    return http::problem(422, "field_invalid", "the password is too long", "/password");
  }
  return std::nullopt;
}

std::optional<http::Response> read_scopes(const boost::json::object& body, TokenWish& wish) {
  const boost::json::value* scopes = body.if_contains("scopes");
  if (scopes == nullptr) {
    return std::nullopt;
  }
  if (!scopes->is_array() || scopes->get_array().empty() ||
      scopes->get_array().size() > token_scopes_max) {
    return http::problem(422, "field_invalid", "\"scopes\" must be a list of 1 to 64 scopes",
                         "/scopes");
  }
  wish.scopes.emplace();
  for (const boost::json::value& entry : scopes->get_array()) {
    if (!entry.is_string() || !http::is_valid_scope(std::string_view{entry.get_string()})) {
      return http::problem(422, "invalid_scope",
                           "a scope is *, *:read, <resource>:read, <resource>:write or "
                           "<resource>:*, such as devices:read",
                           "/scopes/" + std::to_string(wish.scopes->size()));
    }
    wish.scopes->emplace_back(entry.get_string());
  }
  return std::nullopt;
}

Result<TokenWish, http::Response> read_wish(const http::Request& request) {
  auto body = http::parse_json_object(request);
  if (!body) {
    return std::move(body).error();
  }
  if (auto refused =
          http::refuse_unknown_fields(*body, {"user", "password", "name", "scopes", "expiresIn"})) {
    return *std::move(refused);
  }
  TokenWish wish;
  if (auto refused = read_credentials(*body, !request.principal.empty(), wish)) {
    return *std::move(refused);
  }
  if (auto refused = read_scopes(*body, wish)) {
    return *std::move(refused);
  }
  if (body->contains("name")) {
    auto text = http::string_field(*body, "name");
    if (!text) {
      return std::move(text).error();
    }
    wish.name = *std::move(text);
  }
  if (wish.name.empty() || wish.name.size() > token_name_bytes_max) {
    return http::problem(422, "field_invalid", "\"name\" must have 1 to 128 bytes", "/name");
  }
  if (const boost::json::value* life = body->if_contains("expiresIn")) {
    if (!life->is_int64() || life->get_int64() < life_min.count() ||
        life->get_int64() > life_max.count()) {
      return http::problem(422, "field_invalid",
                           "\"expiresIn\" must be a whole number of seconds from 60 to 31622400",
                           "/expiresIn");
    }
    wish.life = std::chrono::seconds{life->get_int64()};
  }
  return wish;
}

boost::json::object json_of(const TokenInfo& info) {
  boost::json::object object;
  object["id"] = info.id;
  object["user"] = info.user;
  object["name"] = info.name;
  object["scopes"] = boost::json::value_from(info.scopes);
  object["createdAt"] = format_time(info.created);
  object["expiresAt"] = format_time(info.expires);
  object["createdByToken"] =
      info.made_by.empty() ? boost::json::value(nullptr) : boost::json::value(info.made_by);
  return object;
}

http::Response too_many_attempts(std::chrono::seconds wait) {
  http::Response response = http::problem(
      429, "too_many_attempts",
      "too many attempts to log in; try again in " + std::to_string(wait.count()) + " s");
  response.headers.emplace_back("Retry-After", std::to_string(wait.count()));
  return response;
}

class TokenHandlers {
 public:
  explicit TokenHandlers(Services services)
      : services_(std::move(services)), limiter_(services_->attempt_limits) {}

  awaitable<http::Response> create(const http::Request& request);
  awaitable<http::Response> list(const http::Request& request);
  awaitable<http::Response> erase(const http::Request& request);

 private:
  enum class Verdict : std::uint8_t { right, wrong, busy };
  using Refusal = std::optional<http::Response>;

  awaitable<Refusal> check_password(const http::Request& request, const TokenWish& wish);
  Refusal check_token(const http::Request& request, TokenWish& wish) const;
  Refusal check_erase(const http::Request& request, const std::string& id) const;

  Services services_;
  AttemptLimiter limiter_;
};

awaitable<TokenHandlers::Refusal> TokenHandlers::check_password(const http::Request& request,
                                                                const TokenWish& wish) {
  if (const auto wait = limiter_.begin(request.peer_address, services_->clock().steady)) {
    co_return too_many_attempts(*wait);
  }
  auto verify = [services = services_, user = wish.user, password = wish.password] {
    return services->accounts.verify(user, password) ? Verdict::right : Verdict::wrong;
  };
  const auto busy = [] { return Verdict::busy; };
  const auto verdict = co_await http::run_blocking<Verdict>(services_->readers, verify, busy);
  if (verdict == Verdict::busy) {
    http::Response response = http::problem(503, "busy", "the server is busy; try again");
    response.headers.emplace_back("Retry-After", "1");
    co_return response;
  }
  if (verdict == Verdict::wrong) {
    services_->log("admin: refused a wrong password from " + request.peer_address);
    if (services_->audit != nullptr) {
      services_->audit->note({"address:" + request.peer_address, "login", "user:" + wish.user,
                              "wrong_credentials", "the user name or the password is wrong",
                              request.peer_address});
    }
    http::Response response =
        http::problem(401, "wrong_credentials", "the user name or the password is wrong");
    response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"skerry\"");
    co_return response;
  }
  limiter_.succeeded(request.peer_address);
  co_return std::nullopt;
}

http::Response token_not_found() {
  return http::problem(404, "token_not_found", "there is no token with this id");
}

http::Response refuse_scope(std::string_view scope, std::string_view pointer) {
  http::Response response = http::problem(
      403, "insufficient_scope",
      "the API token is not good for this; it needs the scope " + std::string{scope}, pointer);
  response.headers.emplace_back("WWW-Authenticate",
                                "Bearer realm=\"skerry\", error=\"insufficient_scope\", scope=\"" +
                                    std::string{scope} + "\"");
  return response;
}

/// A token may give what it has itself, for as long as it is good itself, and nothing more.
TokenHandlers::Refusal TokenHandlers::check_token(const http::Request& request,
                                                  TokenWish& wish) const {
  const auto own = services_->tokens.find(request.token_id);
  if (!own) {
    return http::problem(401, "token_invalid", "the API token has expired or was revoked");
  }
  if (!http::covers(request.scopes, "tokens:write")) {
    return refuse_scope("tokens:write", {});
  }
  if (!wish.scopes) {
    wish.scopes = request.scopes;
  }
  for (std::size_t index = 0; index < wish.scopes->size(); ++index) {
    if (const std::string& scope = wish.scopes->at(index); !http::covers(request.scopes, scope)) {
      return refuse_scope(scope, "/scopes/" + std::to_string(index));
    }
  }
  if (wish.life && wish.expires > own->expires) {
    return http::problem(403, "outlives_token",
                         "a token cannot make one that is good for longer than itself, until " +
                             format_time(own->expires),
                         "/expiresIn");
  }
  wish.expires = std::min(wish.expires, own->expires);
  wish.user = own->user;
  wish.made_by = own->id;
  return std::nullopt;
}

/// A token that is not good for everything may take back itself and what it has made.
TokenHandlers::Refusal TokenHandlers::check_erase(const http::Request& request,
                                                  const std::string& id) const {
  if (http::covers(request.scopes, "*") || id == request.token_id) {
    return std::nullopt;
  }
  const auto maker = services_->tokens.maker_of(id);
  if (!maker) {
    return token_not_found();
  }
  if (!maker->empty() && *maker == request.token_id) {
    return std::nullopt;
  }
  return http::problem(403, "token_of_another",
                       "without the scope * a token deletes itself and those that it has made",
                       "/path/id");
}

awaitable<http::Response> TokenHandlers::create(const http::Request& request) {
  auto wish = read_wish(request);
  if (!wish) {
    co_return std::move(wish).error();
  }
  wish->expires = services_->clock().wall + wish->life.value_or(life_default);
  Refusal refused;
  if (wish->user.empty()) {
    refused = check_token(request, *wish);
  } else {
    refused = co_await check_password(request, *wish);
  }
  if (refused) {
    co_return *std::move(refused);
  }
  TokenStore::Wish made{wish->user, wish->name,
                        wish->scopes.value_or(std::vector<std::string>{"*"}), wish->expires,
                        wish->made_by};
  auth::Actor actor{"user:" + wish->user, request.peer_address};
  const TokenStore::Created created =
      co_await services_->tokens.create(std::move(made), std::move(actor));
  if (created.at_limit) {
    co_return http::problem(409, "token_limit", "there are too many tokens; delete some first");
  }
  if (!created.status.ok()) {
    co_return storage_problem(created.status);
  }
  services_->log("admin: user:" + wish->user + " created token " + created.info.id);
  boost::json::object body = json_of(created.info);
  body["token"] = created.token;
  http::Response response = http::json_response(body, 201);
  response.headers.emplace_back("Location", "/api/v1/tokens/" + created.info.id);
  co_return response;
}

awaitable<http::Response> TokenHandlers::list(const http::Request& request) {
  const auto page = read_page(request, cursor_kind);
  if (!page) {
    co_return page.error();
  }
  std::vector<TokenInfo> tokens = services_->tokens.list(page->after, page->limit + 1);
  const auto next = cut_page(tokens, *page, cursor_kind, [](const auto& each) { return each.id; });
  boost::json::array items;
  for (const TokenInfo& info : tokens) {
    items.push_back(json_of(info));
  }
  co_return page_response(request, std::move(items), next);
}

awaitable<http::Response> TokenHandlers::erase(const http::Request& request) {
  const std::string& id = request.parameters.at("id");
  if (auto refused = check_erase(request, id)) {
    co_return *std::move(refused);
  }
  auth::Actor actor = actor_of(request);
  const TokenStore::Erased erased = co_await services_->tokens.erase(id, std::move(actor));
  if (!erased.found) {
    co_return token_not_found();
  }
  services_->log("admin: " + request.principal + " deleted token " + id);
  if (!erased.status.ok()) {
    co_return storage_problem(erased.status);
  }
  co_return http::no_content();
}

}  // namespace

http::EndpointTable token_endpoints(const Services& services) {
  const auto handlers = std::make_shared<TokenHandlers>(services);
  return {
      {"POST", "/api/v1/tokens", http::Guard::none, body_bytes_max,
       [handlers](const http::Request& request) { return handlers->create(request); }},
      {"GET", "/api/v1/tokens", http::Guard::token, 0,
       [handlers](const http::Request& request) { return handlers->list(request); }},
      {"DELETE", "/api/v1/tokens/{id}", http::Guard::token, 0,
       [handlers](const http::Request& request) { return handlers->erase(request); }},
  };
}

}  // namespace skerry::admin_api
