// /api/v1/services/{name}/password: what a service without a certificate shows.
#include <boost/json/object.hpp>
#include <memory>

#include "admin-api/access.hpp"
#include "admin-api/audited.hpp"
#include "admin-api/rest.hpp"
#include "crypto/password.hpp"
#include "crypto/random.hpp"
#include "http/await.hpp"
#include "http/json_body.hpp"

namespace skerry::admin_api {
namespace {

using boost::asio::awaitable;
using Shared = std::shared_ptr<AccessServices>;

constexpr std::size_t body_bytes_max = 8 * 1024;
constexpr std::size_t password_bytes_min = 12;
constexpr std::int64_t life_max = 3660LL * 86'400;

struct Wish {
  std::string password;
  bool is_made_here = false;
  std::optional<std::chrono::seconds> life;
};

http::Response no_service() {
  return http::problem(404, "service_not_found", "there is no service of this name");
}

Result<Wish, http::Response> read_wish(const http::Request& request) {
  auto body = http::parse_json_object(request);
  if (!body) {
    return std::move(body).error();
  }
  if (auto refused = http::refuse_unknown_fields(*body, {"password", "expiresIn"})) {
    return *std::move(refused);
  }
  Wish wish;
  if (body->contains("password")) {
    auto text = http::string_field(*body, "password");
    if (!text) {
      return std::move(text).error();
    }
    wish.password = *std::move(text);
    if (wish.password.size() < password_bytes_min ||
        wish.password.size() > crypto::password_bytes_max) {
      return http::problem(422, "field_invalid",
                           "\"password\" must have 12 to 1024 bytes; leave it out to have one made",
                           "/password");
    }
  } else {
    wish.is_made_here = true;
    wish.password = crypto::random_token();
  }
  if (const boost::json::value* life = body->if_contains("expiresIn")) {
    if (!life->is_int64() || life->get_int64() < 60 || life->get_int64() > life_max) {
      return http::problem(422, "field_invalid",
                           "\"expiresIn\" must be a whole number of seconds from 60 to 316224000",
                           "/expiresIn");
    }
    wish.life = std::chrono::seconds{life->get_int64()};
  }
  return wish;
}

boost::json::object json_of(const std::string& service, const auth::ServicePassword& password) {
  boost::json::object object;
  object["service"] = service;
  object["createdAt"] = format_time(password.created);
  object["expiresAt"] = password.expires == WallTime::max()
                            ? boost::json::value(nullptr)
                            : boost::json::value(format_time(password.expires));
  return object;
}

http::Response busy() {
  http::Response response = http::problem(503, "busy", "the server is busy; try again");
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

awaitable<http::Response> put(Shared services, const http::Request& request) {
  const std::string name = request.parameters.at("name");
  const auto rights = services->service_rights(name);
  if (!rights) {
    co_return no_service();
  }
  auto wish = read_wish(request);
  if (!wish) {
    co_return std::move(wish).error();
  }
  auto hash = [password = wish->password] {
    const auto made = crypto::hash_password(password);
    return made ? *made : std::string{};
  };
  const auto full = [] { return std::string{}; };
  auth::ServicePassword made;
  made.hash = co_await http::run_blocking<std::string>(services->hashers, hash, full);
  if (made.hash.empty()) {
    co_return busy();
  }
  made.created = services->clock().wall;
  made.expires = wish->life ? made.created + *wish->life : WallTime::max();
  made.service_created = rights->created;
  auto store = [&credentials = services->credentials, name, made,
                actor = actor_of(request)](auto done) {
    credentials.put(name, made, {actor, ""},
                    [done](const storage::Status& status) { done(status); });
  };
  const auto status = co_await http::await_callback<storage::Status>(std::move(store));
  if (!status.ok()) {
    co_return storage_problem(status);
  }
  boost::json::object body = json_of(name, made);
  if (wish->is_made_here) {
    body["password"] = wish->password;
  }
  co_return http::json_response(body);
}

awaitable<http::Response> show(Shared services, const http::Request& request) {
  const std::string& name = request.parameters.at("name");
  const auto password = services->credentials.find(name);
  if (!services->service_rights(name)) {
    co_return no_service();
  }
  if (!password) {
    co_return http::problem(404, "password_not_found", "the service has no password");
  }
  co_return http::json_response(json_of(name, *password));
}

awaitable<http::Response> erase(Shared services, const http::Request& request) {
  const std::string name = request.parameters.at("name");
  auto erase = [&credentials = services->credentials, name, actor = actor_of(request)](auto done) {
    credentials.erase(name, {actor, ""}, [done](const storage::Status& status) { done(status); });
  };
  const auto status = co_await http::await_callback<storage::Status>(std::move(erase));
  if (status.code == storage::StatusCode::not_found) {
    co_return http::problem(404, "password_not_found", "the service has no password");
  }
  if (!status.ok()) {
    co_return storage_problem(status);
  }
  co_return http::no_content();
}

}  // namespace

http::EndpointTable service_password_endpoints(const Shared& services) {
  constexpr const char* route = "/api/v1/services/{name}/password";
  return {
      {"GET", route, http::Guard::token, 0,
       [services](const http::Request& request) { return show(services, request); }},
      {"PUT", route, http::Guard::token, body_bytes_max,
       [services](const http::Request& request) { return put(services, request); }},
      {"DELETE", route, http::Guard::token, 0,
       [services](const http::Request& request) { return erase(services, request); }},
  };
}

}  // namespace skerry::admin_api
