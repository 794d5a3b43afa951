// How a change of the registry ends: the device as it now is, or why nothing was changed.
#pragma once

#include <boost/assert/source_location.hpp>
#include <cstdint>
#include <string>

#include "auth/device.hpp"
#include "base/result.hpp"

namespace skerry::auth {

enum class RegistryError : std::uint8_t {
  invalid_id,             ///< 422
  invalid_fingerprint,    ///< 422; also: too many, or the same one twice
  invalid_field,          ///< 422: `field` says which
  exists,                 ///< 409: the id is taken, or its removal has not been stored yet
  key_taken,              ///< 409: a key belongs to one device only
  invalid_state,          ///< 409: not from the state that the device is in
  fingerprint_mismatch,   ///< 409: not the key that waits for approval
  not_found,              ///< 404
  key_not_found,          ///< 404: the device has no such key
  certificate_not_found,  ///< 404: no such certificate that is still good
  revision_mismatch,      ///< 412
  rejected,               ///< 403: a human has refused this key
  limit,                  ///< 507 (429 for approvals): a cap of base/limits.hpp is reached
  storage,                ///< 503: not stored; `what` says why
};

struct RegistryFailure {
  RegistryError code = RegistryError::storage;
  std::string what;   ///< a sentence for a human
  std::string field;  ///< JSON pointer into the device ("/tags/2"); may be empty
};

[[noreturn]] void throw_exception_from_error(const RegistryFailure& failure,
                                             const boost::source_location& where);

using RegistryOutcome = Result<DevicePointer, RegistryFailure>;

}  // namespace skerry::auth
