// Standing: what has become of an identity since it was let in. Asked again when rights may have
// changed, so that whoever has lost them is not served until it happens to reconnect.
#pragma once

#include <cstdint>

#include "base/now.hpp"
#include "mqtt/reason.hpp"

namespace skerry::plugin {

struct Standing {
  enum class State : std::uint8_t {
    valid,
    expired,    ///< the credentials, or the device's own notAfter, have run out
    denied,     ///< the credentials are no longer good: another password, not enrolled, …
    revoked,    ///< this certificate or this key was taken back
    suspended,  ///< the device is locked out for a time
    retired,    ///< … for good
    erased,     ///< the device or service is not registered any more
  };

  State state = State::valid;
  /// When the right ends by itself; of meaning while it is valid.
  WallTime until = WallTime::max();

  bool valid() const noexcept { return state == State::valid; }
};

/// What a client hears when its right has ended: 0x87 when it can do something about it (renew, log
/// in again), 0x98 when somebody decided so.
constexpr mqtt::Reason reason_of(Standing::State state) noexcept {
  switch (state) {
    case Standing::State::valid:
      return mqtt::Reason::success;
    case Standing::State::expired:
    case Standing::State::denied:
      return mqtt::Reason::not_authorized;
    case Standing::State::revoked:
    case Standing::State::suspended:
    case Standing::State::retired:
    case Standing::State::erased:
      return mqtt::Reason::administrative_action;
  }
  return mqtt::Reason::not_authorized;
}

}  // namespace skerry::plugin
