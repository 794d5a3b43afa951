// A change of a device as a request makes it: preconditions, the registry's answer, and the end of
// the live sessions that have lost their right by it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>

#include "admin-api/device_json.hpp"
#include "admin-api/handlers.hpp"

namespace skerry::admin_api {

/// How the registry has answered, and what that meant for live sessions.
struct DeviceChange {
  auth::RegistryOutcome outcome = auth::DevicePointer{};
  std::uint64_t sessions_closed = 0;
  std::int64_t elapsed_milliseconds = 0;  ///< from the call to the end of the last session
};

/// Makes the change, which must call `done` once, and has the sessions of device `id` judged again
/// before it gives the outcome; also when storing failed, because a device that could not be erased
/// is locked out. The judging does not depend on the connection that asked.
boost::asio::awaitable<DeviceChange> change_device(
    Services services, std::string id, std::function<void(auth::DeviceRegistry::Done done)> change);

/// Takes an If-Match header into the change: 412 when it does not hold, 404 without the device.
std::optional<http::Response> read_if_match(const http::Request& request,
                                            const auth::DeviceRegistry& registry,
                                            const std::string& id, auth::ChangeRequest& change);

/// change_of() for handlers that use change_device().
auth::ChangeRequest judging_change_of(const http::Request& request, const Services& services);

/// {"device": …, "sessionsClosed": n, "elapsedMilliseconds": n} with the device's ETag, or the
/// problem. Of an erased device there is its id alone.
http::Response change_response(const DeviceChange& change, bool is_erased = false);

}  // namespace skerry::admin_api
