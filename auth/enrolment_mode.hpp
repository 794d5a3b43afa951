// EnrolmentMode: what becomes of keys that nobody has registered.
#pragma once

#include <cstdint>

namespace skerry::auth {

enum class EnrolmentMode : std::uint8_t {
  strict,    ///< unknown keys are refused
  approval,  ///< unknown keys wait for a human: 202 and Retry-After
};

}  // namespace skerry::auth
