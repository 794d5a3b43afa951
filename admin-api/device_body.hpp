// What people write of a device as JSON: bodies of POST, PUT and PATCH, lines of an import. Types
// and names are judged here, values by the registry.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "auth/registry.hpp"
#include "http/message.hpp"

namespace skerry::admin_api {

enum class DeviceBodyKind : std::uint8_t {
  create,   ///< POST: "id" is needed; what is not said is empty
  replace,  ///< PUT: the whole device; what is not said is cleared, what only we say is ignored
  merge,    ///< PATCH (RFC 7396): what is not said stays, null clears
  import,   ///< a line: as merge, with "id", "state" and keys as plain fingerprints
  approve,  ///< what a human adds to a pending device: as create, "id" may be missing
};

struct DeviceBody {
  std::string id;  ///< empty when it is not said
  auth::DevicePatch patch;
  auth::DeviceState state = auth::DeviceState::preauthorised;  ///< import
};

/// What is wrong with a body, and where.
struct BodyFault {
  std::string code;     ///< "field_invalid"
  std::string detail;   ///< a sentence
  std::string pointer;  ///< JSON pointer, may be empty
};

[[noreturn]] void throw_exception_from_error(const BodyFault& fault,
                                             const boost::source_location& where);

Result<DeviceBody, BodyFault> read_device_body(const boost::json::object& body,
                                               DeviceBodyKind kind);

/// {"fingerprint": …} or {"publicKey": PEM}, with "notAfter" if it ends. `pointer` leads to it.
Result<auth::KeyWish, BodyFault> read_key_body(const boost::json::value& value, DeviceBodyKind kind,
                                               const std::string& pointer);

/// RFC 3339 with date, time and zone.
std::optional<WallTime> read_time(std::string_view text);

/// The 422 that says it.
http::Response problem_of(const BodyFault& fault);

}  // namespace skerry::admin_api
