// Devices as REST shows them: JSON, entity tags, and the problems that the registry's refusals
// become.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "auth/registry.hpp"
#include "http/message.hpp"

namespace skerry::admin_api {

/// Strong: it names the device that was made at this time in this revision.
std::string etag_of(const auth::Device& device);

boost::json::object json_of(const auth::Device& device);
boost::json::object json_of(const auth::DeviceKey& key);

/// The device with its ETag.
http::Response device_response(const auth::Device& device, int status);

/// 404 device_not_found; what cannot be an id is not repeated.
http::Response device_not_found(const std::string& id);

/// The stable code of a refusal, "key_in_use"; the same in problems and in lines of an import.
std::string_view code_of(auth::RegistryError error) noexcept;
/// The problem that says it.
http::Response registry_problem(const auth::RegistryFailure& failure);

/// Who asks, from where, at what time.
auth::ChangeRequest change_of(const http::Request& request, WallTime now);

}  // namespace skerry::admin_api
