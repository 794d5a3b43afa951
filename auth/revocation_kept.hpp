// How long revocations are remembered.
#pragma once

#include <chrono>

namespace skerry::auth {

/// Behind the end of the certificate: two of the longest intervals between lists that the
/// configuration allows, so that a list of the regular time tells of each.
inline constexpr std::chrono::hours revocation_kept{61 * 24};

}  // namespace skerry::auth
