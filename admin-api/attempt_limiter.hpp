// The limiter of wrong passwords under the names of this folder; it is shared with auth/.
#pragma once

#include "auth/attempt_limiter.hpp"

namespace skerry::admin_api {

using auth::address_group;
using auth::AttemptLimiter;
using auth::AttemptLimits;

}  // namespace skerry::admin_api
