// What is done to a device beyond reading and writing it: suspend, resume, retire, disconnect, and
// a human's yes or no to one that waits for approval.
#include "admin-api/device_body.hpp"
#include "admin-api/device_change.hpp"
#include "admin-api/handlers.hpp"
#include "admin-api/rest.hpp"
#include "http/await.hpp"
#include "http/json_body.hpp"

namespace skerry::admin_api {
namespace {

using auth::DeviceRegistry;
using auth::RegistryOutcome;
using boost::asio::awaitable;

constexpr std::size_t body_bytes_max = 64 * 1024;

/// These take no arguments; an empty object is fine, anything in it is a mistake.
std::optional<http::Response> refuse_arguments(const http::Request& request) {
  if (request.body.empty()) {
    return std::nullopt;
  }
  auto body = http::parse_json_object(request);
  return body ? http::refuse_unknown_fields(*body, {}) : std::optional{std::move(body).error()};
}

using Transition = void (DeviceRegistry::*)(std::string_view, auth::ChangeRequest,
                                            DeviceRegistry::Done);

awaitable<http::Response> move_state(Services services, const http::Request& request,
                                     Transition transition, const char* what) {
  const std::string id = request.parameters.at("id");
  if (auto refused = refuse_arguments(request)) {
    co_return *std::move(refused);
  }
  auth::ChangeRequest change = judging_change_of(request, services);
  if (auto refused = read_if_match(request, services->registry, id, change)) {
    co_return *std::move(refused);
  }
  std::function<void(auth::DeviceRegistry::Done)> apply = [&registry = services->registry,
                                                           transition, id, change](auto done) {
    (registry.*transition)(id, change, done);
  };
  const DeviceChange changed = co_await change_device(services, id, std::move(apply));
  if (changed.outcome) {
    services->log("admin: " + request.principal + " " + what + " device " + id + ", " +
                  std::to_string(changed.sessions_closed) + " sessions ended");
  }
  co_return change_response(changed);
}

/// Ends the sessions and nothing else: the device may come back at once.
awaitable<http::Response> disconnect(Services services, const http::Request& request) {
  const std::string id = request.parameters.at("id");
  if (auto refused = refuse_arguments(request)) {
    co_return *std::move(refused);
  }
  const auth::DevicePointer device = services->registry.find(id);
  if (!device) {
    co_return device_not_found(id);
  }
  const SteadyTime begin = services->clock().steady;
  auto end = [&view = services->view, owner = "device:" + id](auto done) {
    view.disconnect_owner(owner, mqtt::Reason::administrative_action, done);
  };
  DeviceChange changed;
  changed.outcome = device;
  changed.sessions_closed = co_await http::await_callback<std::uint64_t>(std::move(end));
  changed.elapsed_milliseconds =
      std::chrono::duration_cast<Milliseconds>(services->clock().steady - begin).count();
  services->log("admin: " + request.principal + " disconnected device " + id);
  co_return change_response(changed);
}

/// Takes "fingerprint" out of the body: what a human has compared with the device's own display.
Result<std::string, http::Response> take_fingerprint(boost::json::object& body) {
  auto text = http::string_field(body, "fingerprint");
  if (!text) {
    return std::move(text).error();
  }
  boost::json::object alone;
  alone["fingerprint"] = *text;
  auto key = read_key_body(alone, DeviceBodyKind::create, "");
  if (!key) {
    return problem_of(key.error());
  }
  body.erase("fingerprint");
  return key->fingerprint;
}

awaitable<http::Response> approve(Services services, const http::Request& request) {
  const std::string id = request.parameters.at("id");
  auto body = http::parse_json_object(request);
  if (!body) {
    co_return std::move(body).error();
  }
  auto fingerprint = take_fingerprint(*body);
  if (!fingerprint) {
    co_return std::move(fingerprint).error();
  }
  if (body->contains("keys")) {
    co_return http::problem(422, "unknown_field", "the key is the one that waits", "/keys");
  }
  auto details = read_device_body(*body, DeviceBodyKind::approve);
  if (!details) {
    co_return problem_of(details.error());
  }
  auth::ChangeRequest change = change_of(request, services->clock().wall);
  if (auto refused = read_if_match(request, services->registry, id, change)) {
    co_return *std::move(refused);
  }
  auth::Approval approval{*std::move(fingerprint), details->id, std::move(details->patch)};
  std::function<void(auth::DeviceRegistry::Done)> apply =
      [&registry = services->registry, id, approval = std::move(approval), change](auto done) {
        registry.approve(id, approval, change, done);
      };
  const auto outcome = co_await http::await_callback<RegistryOutcome>(std::move(apply));
  if (!outcome) {
    co_return registry_problem(outcome.error());
  }
  const auth::Device& device = **outcome;
  services->log("admin: " + request.principal + " approved device " + id + " as " + device.id);
  http::Response response = device_response(device, 200);
  response.headers.emplace_back("Content-Location", "/api/v1/devices/" + device.id);
  co_return response;
}

awaitable<http::Response> reject(Services services, const http::Request& request) {
  const std::string id = request.parameters.at("id");
  auto body = http::parse_json_object(request);
  if (!body) {
    co_return std::move(body).error();
  }
  if (auto refused = http::refuse_unknown_fields(*body, {"fingerprint"})) {
    co_return *std::move(refused);
  }
  auto fingerprint = take_fingerprint(*body);
  if (!fingerprint) {
    co_return std::move(fingerprint).error();
  }
  auth::ChangeRequest change = change_of(request, services->clock().wall);
  if (auto refused = read_if_match(request, services->registry, id, change)) {
    co_return *std::move(refused);
  }
  std::function<void(auth::DeviceRegistry::Done)> apply =
      [&registry = services->registry, id, key = *std::move(fingerprint), change](auto done) {
        registry.reject(id, key, change, done);
      };
  const auto outcome = co_await http::await_callback<RegistryOutcome>(std::move(apply));
  if (!outcome) {
    co_return registry_problem(outcome.error());
  }
  services->log("admin: " + request.principal + " rejected device " + id);
  co_return http::no_content();
}

http::Endpoint action(const char* name, http::Handler handler) {
  http::Endpoint endpoint;
  endpoint.method = "POST";
  endpoint.route = std::string{"/api/v1/devices/{id}:"} + name;
  endpoint.body_bytes_max = body_bytes_max;
  endpoint.handler = std::move(handler);
  return endpoint;
}

}  // namespace

http::EndpointTable device_action_endpoints(const Services& services) {
  const auto moves = [services](Transition transition, const char* what) -> http::Handler {
    return [services, transition, what](const http::Request& request) {
      return move_state(services, request, transition, what);
    };
  };
  return {
      action("suspend", moves(&DeviceRegistry::suspend, "suspended")),
      action("resume", moves(&DeviceRegistry::resume, "resumed")),
      action("retire", moves(&DeviceRegistry::retire, "retired")),
      action("disconnect",
             [services](const http::Request& request) { return disconnect(services, request); }),
      action("approve",
             [services](const http::Request& request) { return approve(services, request); }),
      action("reject",
             [services](const http::Request& request) { return reject(services, request); })};
}

}  // namespace skerry::admin_api
