#include "admin-api/device_change.hpp"

#include <chrono>

#include "admin-api/rest.hpp"
#include "http/await.hpp"

namespace skerry::admin_api {

using boost::asio::awaitable;

awaitable<DeviceChange> change_device(Services services, std::string id,
                                      std::function<void(auth::DeviceRegistry::Done)> change) {
  const SteadyTime begin = services->clock().steady;
  auto start = [&view = services->view, owner = "device:" + id,
                change = std::move(change)](auto done) {
    change([&view, owner, done](auth::RegistryOutcome outcome) {
      if (!outcome && outcome.error().code != auth::RegistryError::storage) {
        done(DeviceChange{std::move(outcome), 0, 0});
        return;
      }
      view.reevaluate(owner, [outcome = std::move(outcome), done](std::uint64_t closed) {
        done(DeviceChange{outcome, closed, 0});
      });
    });
  };
  DeviceChange changed = co_await http::await_callback<DeviceChange>(std::move(start));
  changed.elapsed_milliseconds =
      std::chrono::duration_cast<Milliseconds>(services->clock().steady - begin).count();
  co_return changed;
}

std::optional<http::Response> read_if_match(const http::Request& request,
                                            const auth::DeviceRegistry& registry,
                                            const std::string& id, auth::ChangeRequest& change) {
  const std::string_view if_match = request.header("if-match");
  if (if_match.empty()) {
    return std::nullopt;
  }
  const auth::DevicePointer device = registry.find(id);
  if (!device) {
    return device_not_found(id);
  }
  if (!if_match_holds(if_match, etag_of(*device))) {
    return http::problem(412, "revision_mismatch",
                         "the device has changed; its ETag is now " + etag_of(*device));
  }
  change.expected = {device->created, device->revision};
  return std::nullopt;
}

auth::ChangeRequest judging_change_of(const http::Request& request, const Services& services) {
  auth::ChangeRequest change = change_of(request, services->clock().wall);
  change.caller_judges_sessions = true;
  return change;
}

http::Response change_response(const DeviceChange& change, bool is_erased) {
  if (!change.outcome) {
    return registry_problem(change.outcome.error());
  }
  const auth::Device& device = **change.outcome;
  boost::json::object body;
  if (is_erased) {
    body["id"] = device.id;
  } else {
    body["device"] = json_of(device);
  }
  body["sessionsClosed"] = change.sessions_closed;
  body["elapsedMilliseconds"] = change.elapsed_milliseconds;
  http::Response response = http::json_response(body);
  if (!is_erased) {
    response.headers.emplace_back("ETag", etag_of(device));
  }
  return response;
}

}  // namespace skerry::admin_api
