// /api/v1/devices: the registry as a resource. What takes rights away ends the live sessions that
// lived by them before it is answered.
#include <boost/json/array.hpp>

#include "admin-api/device_body.hpp"
#include "admin-api/device_change.hpp"
#include "admin-api/handlers.hpp"
#include "admin-api/rest.hpp"
#include "http/await.hpp"
#include "http/json_body.hpp"

namespace skerry::admin_api {
namespace {

using auth::RegistryOutcome;
using boost::asio::awaitable;

constexpr std::size_t body_bytes_max = 64 * 1024;

Result<DeviceBody, http::Response> read_body(const http::Request& request, DeviceBodyKind kind) {
  auto body = http::parse_json_object(request);
  if (!body) {
    return std::move(body).error();
  }
  auto device = read_device_body(*body, kind);
  if (!device) {
    return problem_of(device.error());
  }
  return *std::move(device);
}

class DeviceHandlers {
 public:
  explicit DeviceHandlers(Services services) : services_(std::move(services)) {}

  awaitable<http::Response> create(const http::Request& request);
  awaitable<http::Response> show(const http::Request& request);
  awaitable<http::Response> replace(const http::Request& request);
  awaitable<http::Response> merge(const http::Request& request);
  awaitable<http::Response> erase(const http::Request& request);

 private:
  awaitable<http::Response> make(const http::Request& request, DeviceBody body);
  awaitable<http::Response> update(const http::Request& request, std::string id,
                                   auth::DevicePatch patch, auth::ChangeRequest change);

  Services services_;
};

awaitable<http::Response> DeviceHandlers::make(const http::Request& request, DeviceBody body) {
  auto create = [&registry = services_->registry, body = std::move(body),
                 change = change_of(request, services_->clock().wall)](auto done) {
    registry.create(body.id, body.patch, change, done);
  };
  const auto outcome = co_await http::await_callback<RegistryOutcome>(std::move(create));
  if (!outcome) {
    co_return registry_problem(outcome.error());
  }
  const auth::Device& created = **outcome;
  services_->log("admin: " + request.principal + " registered device " + created.id);
  http::Response response = device_response(created, 201);
  response.headers.emplace_back("Location", "/api/v1/devices/" + created.id);
  co_return response;
}

awaitable<http::Response> DeviceHandlers::create(const http::Request& request) {
  auto body = read_body(request, DeviceBodyKind::create);
  if (!body) {
    co_return std::move(body).error();
  }
  co_return co_await make(request, *std::move(body));
}

awaitable<http::Response> DeviceHandlers::show(const http::Request& request) {
  const std::string& id = request.parameters.at("id");
  const auth::DevicePointer device = services_->registry.find(id);
  if (!device) {
    co_return device_not_found(id);
  }
  const std::string_view if_none_match = request.header("if-none-match");
  if (!if_none_match.empty() && if_none_match_names(if_none_match, etag_of(*device))) {
    http::Response response;
    response.status = 304;
    response.headers.emplace_back("ETag", etag_of(*device));
    co_return response;
  }
  co_return device_response(*device, 200);
}

awaitable<http::Response> DeviceHandlers::update(const http::Request& request, std::string id,
                                                 auth::DevicePatch patch,
                                                 auth::ChangeRequest change) {
  std::function<void(auth::DeviceRegistry::Done)> apply =
      [&registry = services_->registry, id, patch = std::move(patch),
       change = std::move(change)](auto done) { registry.update(id, patch, change, done); };
  const DeviceChange changed = co_await change_device(services_, id, std::move(apply));
  if (!changed.outcome) {
    co_return registry_problem(changed.outcome.error());
  }
  services_->log("admin: " + request.principal + " changed device " + id);
  co_return device_response(**changed.outcome, 200);
}

/// PUT: the device becomes what the body says, and is created when there is none.
awaitable<http::Response> DeviceHandlers::replace(const http::Request& request) {
  const std::string id = request.parameters.at("id");
  auto body = read_body(request, DeviceBodyKind::replace);
  if (!body) {
    co_return std::move(body).error();
  }
  if (!body->id.empty() && body->id != id) {
    co_return http::problem(422, "field_invalid", "\"id\" must be that of the path", "/id");
  }
  body->id = id;
  const std::string_view if_none_match = request.header("if-none-match");
  const auth::DevicePointer device = services_->registry.find(id);
  if (device && !if_none_match.empty() && if_none_match_names(if_none_match, etag_of(*device))) {
    co_return http::problem(412, "device_exists", "there is a device \"" + id + "\" already");
  }
  if (!device && request.header("if-match").empty()) {
    co_return co_await make(request, *std::move(body));
  }
  auth::ChangeRequest change = judging_change_of(request, services_);
  if (!device) {
    co_return http::problem(412, "revision_mismatch", "there is no such device");
  }
  if (auto refused = read_if_match(request, services_->registry, id, change)) {
    co_return *std::move(refused);
  }
  co_return co_await update(request, id, std::move(body->patch), std::move(change));
}

awaitable<http::Response> DeviceHandlers::merge(const http::Request& request) {
  const std::string id = request.parameters.at("id");
  auto body = read_body(request, DeviceBodyKind::merge);
  if (!body) {
    co_return std::move(body).error();
  }
  if (!body->id.empty() && body->id != id) {
    co_return http::problem(422, "field_read_only", "the id of a device cannot be changed", "/id");
  }
  auth::ChangeRequest change = judging_change_of(request, services_);
  if (auto refused = read_if_match(request, services_->registry, id, change)) {
    co_return *std::move(refused);
  }
  co_return co_await update(request, id, std::move(body->patch), std::move(change));
}

awaitable<http::Response> DeviceHandlers::erase(const http::Request& request) {
  const std::string id = request.parameters.at("id");
  auth::ChangeRequest change = judging_change_of(request, services_);
  if (auto refused = read_if_match(request, services_->registry, id, change)) {
    co_return *std::move(refused);
  }
  std::function<void(auth::DeviceRegistry::Done)> erase = [&registry = services_->registry, id,
                                                           change](auto done) {
    registry.erase(id, change, done);
  };
  const DeviceChange changed = co_await change_device(services_, id, std::move(erase));
  if (changed.outcome) {
    services_->log("admin: " + request.principal + " deleted device " + id);
  }
  co_return change_response(changed, true);
}

}  // namespace

http::EndpointTable device_endpoints(const Services& services) {
  const auto handlers = std::make_shared<DeviceHandlers>(services);
  using http::Guard;
  using http::Request;
  return {
      {"POST", "/api/v1/devices", Guard::token, body_bytes_max,
       [handlers](const Request& request) { return handlers->create(request); }},
      {"GET", "/api/v1/devices/{id}", Guard::token, 0,
       [handlers](const Request& request) { return handlers->show(request); }},
      {"PUT", "/api/v1/devices/{id}", Guard::token, body_bytes_max,
       [handlers](const Request& request) { return handlers->replace(request); }},
      {"PATCH", "/api/v1/devices/{id}", Guard::token, body_bytes_max,
       [handlers](const Request& request) { return handlers->merge(request); }},
      {"DELETE", "/api/v1/devices/{id}", Guard::token, 0,
       [handlers](const Request& request) { return handlers->erase(request); }},
  };
}

}  // namespace skerry::admin_api
