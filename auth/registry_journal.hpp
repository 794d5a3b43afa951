// What is told of a change of a device: the detail of its audit record and the data of its event.
// Both are compact JSON; values that others wrote are escaped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "auth/device.hpp"

namespace skerry::auth {

/// Before and after of what has changed: {"state":["enrolled","suspended"],"revision":[3,4],…}.
/// `before` may be null.
std::string describe_change(const Device* before, const Device& after,
                            const std::vector<RevokedCertificate>& revoked);

/// {"action":"device.suspend","state":"suspended","revision":4}
std::string device_event(std::string_view action, const Device& device);

/// {"action":"certificate.revoke","serial":"5e…","reason":"keyCompromise"}; `reason` may be empty.
std::string certificate_event(std::string_view action, std::string_view serial,
                              std::string_view reason);

}  // namespace skerry::auth
