// /api/v1/tokens: a password for a token, and what tokens there are.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "admin-api/handlers.hpp"
#include "admin-api/rest.hpp"
#include "crypto/password.hpp"
#include "http/await.hpp"
#include "http/json_body.hpp"

namespace skerry::admin_api {
namespace {

using boost::asio::awaitable;

constexpr std::size_t body_bytes_max = 8 * 1024;
constexpr std::chrono::seconds life_default = std::chrono::days{30};
constexpr std::chrono::seconds life_min{60};
constexpr std::chrono::seconds life_max = std::chrono::days{366};
constexpr std::string_view cursor_kind = "tokens";

struct TokenWish {
  std::string user;
  std::string password;
  std::string name = "token";
  std::chrono::seconds life = life_default;
};

Result<TokenWish, http::Response> read_wish(const http::Request& request) {
  auto body = http::parse_json_object(request);
  if (!body) {
    return std::move(body).error();
  }
  if (auto refused =
          http::refuse_unknown_fields(*body, {"user", "password", "name", "expiresIn"})) {
    return *std::move(refused);
  }
  TokenWish wish;
  for (const auto& [field, target] :
       {std::pair{"user", &wish.user}, {"password", &wish.password}, {"name", &wish.name}}) {
    if (target == &wish.name && !body->contains(field)) {
      continue;
    }
    auto text = http::string_field(*body, field);
    if (!text) {
      return std::move(text).error();
    }
    *target = *std::move(text);
  }
  if (wish.password.size() > crypto::password_bytes_max) {
    return http::problem(422, "field_invalid", "the password is too long", "/password");
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
  object["createdAt"] = format_time(info.created);
  object["expiresAt"] = format_time(info.expires);
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

  Services services_;
  AttemptLimiter limiter_;
};

awaitable<http::Response> TokenHandlers::create(const http::Request& request) {
  auto wish = read_wish(request);
  if (!wish) {
    co_return std::move(wish).error();
  }
  if (const auto wait = limiter_.begin(request.peer_address, services_->clock().steady)) {
    co_return too_many_attempts(*wait);
  }
  auto verify = [services = services_, user = wish->user, password = wish->password] {
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
    http::Response response =
        http::problem(401, "wrong_credentials", "the user name or the password is wrong");
    response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"skerry\"");
    co_return response;
  }
  limiter_.succeeded(request.peer_address);
  const TokenStore::Created created =
      co_await services_->tokens.create(wish->user, wish->name, wish->life);
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
  std::optional<std::string> next;
  if (tokens.size() > page->limit) {
    tokens.pop_back();
    next = encode_cursor(cursor_kind, tokens.back().id);
  }
  boost::json::array items;
  for (const TokenInfo& info : tokens) {
    items.push_back(json_of(info));
  }
  co_return page_response(request, std::move(items), next);
}

awaitable<http::Response> TokenHandlers::erase(const http::Request& request) {
  const std::string& id = request.parameters.at("id");
  const TokenStore::Erased erased = co_await services_->tokens.erase(id);
  if (!erased.found) {
    co_return http::problem(404, "token_not_found", "there is no token with this id");
  }
  services_->log("admin: " + request.principal + " deleted token " + id);
  if (!erased.status.ok()) {
    co_return storage_problem(erased.status);
  }
  http::Response response;
  response.status = 204;
  co_return response;
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
